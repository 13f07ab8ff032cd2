"""The field to write in: input methods, drafts and the agent that answers."""

import httpx
from playwright.sync_api import Page, Route, expect

from tests.browser.console import Console
from tests.browser.test_streams import LOST
from tests.browser.using import (
    NOTHING_TO_SEND,
    choose,
    eventually,
    late_answer,
    messages,
    open_row,
    rows,
    say,
)
from tests.calls import messages_of, new_conversation, post_message, read
from tests.servers import sign


def test_enter_of_an_input_method_does_not_send(tab: Page) -> None:
    field = tab.get_by_role("textbox", name="Message", exact=True)
    field.focus()
    browser = tab.context.new_cdp_session(tab)
    browser.send(
        "Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3}
    )

    field.evaluate(
        """field => field.dispatchEvent(new KeyboardEvent("keydown",
             {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))"""
    )

    browser.send("Input.insertText", {"text": "日本"})
    expect(field).to_have_value("日本")
    expect(messages(tab)).to_have_count(0)


def test_draft_stays_with_its_conversation(tab: Page, maria: httpx.Client) -> None:
    for title in ("Leases", "Regions"):
        new_conversation(maria, title=title)
    field = tab.get_by_role("textbox", name="Message", exact=True)
    open_row(tab, "Leases")
    field.fill("Half a sentence")

    open_row(tab, "Regions")
    expect(field).to_have_value("")
    open_row(tab, "Leases")

    expect(field).to_have_value("Half a sentence")


def test_draft_is_not_shown_to_the_next_user(tab: Page) -> None:
    field = tab.get_by_role("textbox", name="Message", exact=True)
    field.fill("For my eyes only")

    tab.get_by_role("button", name="Sign out").click()
    tab.get_by_label("Token").fill(sign("another"))
    tab.get_by_role("button", name="Sign in").click()

    expect(tab.get_by_text("another", exact=True)).to_be_visible()
    expect(field).to_have_value("")


def test_agent_of_a_conversation_is_changed(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Regions", agent_id="analyst")
    open_row(tab, "Regions")
    field = tab.get_by_label("Agent", exact=True)
    expect(field).to_have_value("analyst")

    field.fill("writer")
    with tab.expect_response(lambda answer: answer.request.method == "PATCH"):
        field.press("Tab")

    assert read(maria, f"/conversations/{conversation['id']}")["agent_id"] == "writer"


def test_arrow_keys_move_through_the_list(tab: Page, maria: httpx.Client) -> None:
    for title in ("One", "Two", "Three"):
        new_conversation(maria, title=title)
    expect(rows(tab)).to_have_count(3)

    rows(tab).first.focus()
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("End")
    expect(rows(tab).last).to_be_focused()
    tab.keyboard.press("Enter")

    expect(tab.get_by_role("heading", level=1)).to_have_text("One")


def test_open_conversation_is_marked_as_read(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Regions")
    post_message(maria, conversation, "South.", role="assistant")
    expect(rows(tab).locator(".badge")).to_have_text("1 unread")

    open_row(tab, "Regions")

    expect(rows(tab).locator(".badge")).to_have_count(0)
    assert read(maria, f"/conversations/{conversation['id']}")["unread_count"] == 0


def test_text_stays_while_its_conversation_is_created(tab: Page, maria: httpx.Client) -> None:
    field = tab.get_by_role("textbox", name="Message", exact=True)
    with late_answer(tab, "**/conversations") as release:
        say(tab, "First")
    say(tab, "Second")
    field.fill("Third")

    release()

    expect(tab.locator(".thread-title")).to_have_text("First")
    expect(field).to_have_value("Third")
    tab.wait_for_function(NOTHING_TO_SEND)
    (conversation,) = maria.get("/conversations").json()["conversations"]
    stored = read(maria, messages_of(conversation))["messages"]
    assert [each["content"] for each in stored if each["role"] == "user"] == ["First", "Second"]


def test_draft_survives_a_token_that_is_refused(tab: Page, user: str, console: Console) -> None:
    console.expect("401")
    field = tab.get_by_role("textbox", name="Message", exact=True)
    field.fill("Half a sentence")
    tab.route("**/conversations?*", lambda route: route.fulfill(status=401), times=1)
    tab.get_by_role("button", name="Archived").click()

    tab.get_by_label("Token").fill(sign(user))
    tab.get_by_role("button", name="Sign in").click()

    expect(field).to_have_value("Half a sentence")


def test_new_title_is_saved_once_and_leaves_the_focus(tab: Page, maria: httpx.Client) -> None:
    new_conversation(maria, title="Leases")
    new_conversation(maria, title="Regions")
    open_row(tab, "Regions")
    saved: list[str] = []
    tab.on(
        "request",
        lambda request: saved.append(str(request.post_data)) if request.method == "PATCH" else None,
    )
    title = tab.get_by_role("textbox", name="Title")
    choose(tab, "Leases", "Rename")
    title.fill("Rent")
    title.press("Enter")
    expect(rows(tab).filter(has_text="Rent")).to_be_focused()
    choose(tab, "Rent", "Rename")
    title.fill("Offers")

    field = tab.get_by_role("textbox", name="Message", exact=True)
    field.click()

    expect(rows(tab).filter(has_text="Offers")).to_have_count(1)
    expect(field).to_be_focused()
    assert saved == ['{"title":"Rent"}', '{"title":"Offers"}']


def test_messages_written_during_a_long_time_offline_are_sent_in_order(
    tab: Page, maria: httpx.Client, console: Console
) -> None:
    console.expect(*LOST, "ERR_FAILED")
    conversation = new_conversation(maria, title="Leases")
    open_row(tab, "Leases")
    tab.clock.install()
    tab.context.set_offline(True)
    say(tab, "First")
    for _ in range(12):
        tab.clock.run_for(10_000)
    expect(tab.get_by_text("Not sent yet. Trying again")).to_be_visible()
    say(tab, "Second")
    lost: list[Route] = []

    def lose_first(route: Route) -> None:
        lost.append(route)
        if len(lost) == 1:
            route.abort()
        else:
            route.fallback()

    tab.route("**/messages", lose_first)

    tab.context.set_offline(False)

    def stored() -> list[str]:
        tab.clock.run_for(1000)
        found = read(maria, messages_of(conversation))["messages"]
        return [each["content"] for each in found if each["role"] == "user"]

    eventually(stored, ["First", "Second"])
