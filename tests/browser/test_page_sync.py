"""The page follows what other devices change."""

from collections.abc import Callable

import httpx
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import NewTab
from tests.browser.console import Console
from tests.browser.test_streams import LOST
from tests.browser.using import (
    LONG_TOASTS,
    choose,
    expect_messages,
    late_answer,
    messages,
    open_row,
    rows,
    titles,
)
from tests.calls import change, messages_of, new_conversation, post_message


def test_changes_of_another_device_appear(tab: Page, maria: httpx.Client) -> None:
    older = new_conversation(maria, title="Leases")
    newer = new_conversation(maria, title="Regions")
    question = post_message(maria, newer, "Which region?")
    open_row(tab, "Regions")
    expect_messages(tab, "Which region?")

    change(maria, f"/messages/{question['id']}", content="Which team?")
    expect_messages(tab, "Which team?")
    change(maria, f"/conversations/{older['id']}", pinned=True, tags=["office"])
    expect(titles(tab)).to_have_text(["Leases", "Regions"])
    expect(rows(tab).first).to_contain_text("office")
    answer = post_message(maria, newer, "South", role="assistant")
    expect_messages(tab, "Which team?", "South")
    post_message(maria, newer, "North", role="assistant", sibling_of=answer["id"])
    expect_messages(tab, "Which team?", "North")
    body = {"message_id": answer["id"]}
    maria.put(f"/conversations/{newer['id']}/active-message", json=body).raise_for_status()
    expect_messages(tab, "Which team?", "South")
    maria.delete(f"/conversations/{newer['id']}").raise_for_status()
    expect(tab.get_by_text("This conversation was deleted")).to_be_visible()
    expect(titles(tab)).to_have_text(["Leases"])


def test_page_is_read_again_if_its_position_has_expired(
    new_tab: NewTab, user: str, maria: httpx.Client, console: Console
) -> None:
    console.expect("410")
    refused: list[str] = []

    def expire(route: Route) -> None:
        """Answer the first stream like a server that keeps no changes of that time."""
        if refused:
            route.continue_()
            return
        refused.append(route.request.url)
        new_conversation(maria, title="Missed by the stream")
        problem = '{"type": "/problems/position-expired", "title": "Gone", "status": 410}'
        route.fulfill(status=410, content_type="application/problem+json", body=problem)

    tab = new_tab()
    tab.route("**/changes/stream*", expire)
    tab.goto(new_tab(user).url)
    tab.goto(f"{tab.url}#token={maria.headers['Authorization'].split()[1]}")

    expect(titles(tab)).to_have_text(["Missed by the stream"])
    new_conversation(maria, title="Seen by the stream")
    expect(titles(tab)).to_have_text(["Seen by the stream", "Missed by the stream"])


def test_filter_shows_archived_shared_and_tagged_conversations(
    tab: Page, maria: httpx.Client
) -> None:
    new_conversation(maria, title="Leases")
    tagged = new_conversation(maria, title="Regions")
    archived = new_conversation(maria, title="Lunch")
    change(maria, f"/conversations/{tagged['id']}", tags=["office"])
    change(maria, f"/conversations/{archived['id']}", archived=True)
    expect(titles(tab)).to_have_text(["Regions", "Leases"])

    tab.get_by_role("button", name="Archived").click()
    expect(titles(tab)).to_have_text(["Lunch"])
    tab.get_by_role("button", name="Shared").click()
    expect(tab.get_by_text("Nothing is shared with you")).to_be_visible()
    tab.get_by_role("button", name="All", exact=True).click()
    open_row(tab, "Regions")
    tab.get_by_role("button", name="office").click()
    expect(titles(tab)).to_have_text(["Regions"])
    tab.get_by_role("button", name="Remove the filter: office").click()
    expect(titles(tab)).to_have_text(["Regions", "Leases"])
    assert maria.get(messages_of(archived)).status_code == 200


def test_undo_does_not_bring_back_what_another_device_has_deleted(
    new_context: Callable[..., BrowserContext],
    new_tab: NewTab,
    user: str,
    maria: httpx.Client,
    console: Console,
) -> None:
    console.expect("404")
    context = new_context()
    context.add_init_script(LONG_TOASTS)
    tab = new_tab(user, context=context)
    conversation = new_conversation(maria, title="Leases")
    choose(tab, "Leases", "Archive")
    undo = tab.get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    maria.delete(f"/conversations/{conversation['id']}").raise_for_status()
    new_conversation(maria, title="Later")
    expect(titles(tab)).to_have_text(["Later"])

    undo.click()

    expect(tab.get_by_text("Not saved.")).to_be_visible()
    expect(titles(tab)).to_have_text(["Later"])


def test_late_answer_does_not_bring_back_what_another_device_has_deleted(
    tab: Page, maria: httpx.Client, console: Console
) -> None:
    console.expect("404")
    conversation = new_conversation(maria, title="Leases")
    expect(titles(tab)).to_have_text(["Leases"])
    with late_answer(tab, f"**/conversations/{conversation['id']}?*") as release:
        change(maria, f"/conversations/{conversation['id']}", title="Rent")
    maria.delete(f"/conversations/{conversation['id']}").raise_for_status()
    expect(titles(tab)).to_have_count(0)

    release()

    new_conversation(maria, title="Later")
    expect(titles(tab)).to_have_text(["Later"])


def test_late_answer_does_not_hide_a_newer_message(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Leases")
    post_message(maria, conversation, "First")
    open_row(tab, "Leases")
    expect_messages(tab, "First")
    with late_answer(tab, "**/messages?*") as release:
        post_message(maria, conversation, "Second")
    post_message(maria, conversation, "Third")
    expect_messages(tab, "First", "Second", "Third")

    release()
    tab.wait_for_timeout(300)  # nothing must happen

    expect_messages(tab, "First", "Second", "Third")


def test_message_is_read_again_after_a_lost_answer(
    tab: Page, maria: httpx.Client, console: Console
) -> None:
    console.expect("ERR_FAILED", *LOST)
    conversation = new_conversation(maria, title="Leases")
    post_message(maria, conversation, "First")
    open_row(tab, "Leases")
    expect_messages(tab, "First")
    tab.route("**/messages?*", lambda route: route.abort(), times=1)

    post_message(maria, conversation, "Second")

    expect_messages(tab, "First", "Second")


def test_failing_read_does_not_hold_up_other_changes(
    tab: Page, maria: httpx.Client, console: Console
) -> None:
    console.expect("503")
    failing = new_conversation(maria, title="Leases")
    conversation = new_conversation(maria, title="Regions")
    open_row(tab, "Regions")
    with tab.expect_response(f"**/conversations/{failing['id']}?*"):
        tab.route(
            f"**/conversations/{failing['id']}?*",
            lambda route: route.fulfill(status=503, headers={"Retry-After": "60"}),
        )
        change(maria, f"/conversations/{failing['id']}", title="Rent")

    post_message(maria, conversation, "Which region?")

    expect(messages(tab)).to_have_count(1)


def test_late_list_does_not_bring_back_what_another_device_has_deleted(
    tab: Page, maria: httpx.Client
) -> None:
    conversation = new_conversation(maria, title="Leases")
    new_conversation(maria, title="Regions")
    expect(titles(tab)).to_have_text(["Regions", "Leases"])
    tab.get_by_role("button", name="Archived").click()
    expect(tab.get_by_text("Nothing is archived")).to_be_visible()
    with late_answer(tab, "**/conversations?*") as release:
        tab.get_by_role("button", name="All", exact=True).click()
    maria.delete(f"/conversations/{conversation['id']}").raise_for_status()
    new_conversation(maria, title="Later")
    expect(titles(tab)).to_have_text(["Later"])  # the change before it has come, too

    release()

    expect(titles(tab)).to_have_text(["Later", "Regions"])
