"""Dialogs on slow and failing networks keep what the user has typed, and let them try again."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.console import Console
from tests.browser.using import choose, eventually, late_answer, open_row
from tests.calls import Json, change, new_conversation, post_message, read

BUSY: dict[str, Any] = {
    "status": 503,
    "content_type": "application/problem+json",
    "body": '{"type": "about:blank", "title": "Busy", "status": 503, "detail": "It is busy."}',
}


@pytest.fixture
def conversation(tab: Page, maria: httpx.Client) -> Json:
    """An open conversation with an answer."""
    found = new_conversation(maria, title="Regions")
    post_message(maria, found, "South", role="assistant")
    open_row(tab, "Regions")
    return found


def open_share(tab: Page) -> None:
    """Open the dialog, whose list of members has been read."""
    tab.get_by_role("button", name="Share", exact=True).click()
    expect(tab.get_by_text("Only you, so far.")).to_be_visible()


def fail(tab: Page, pattern: str, method: str) -> None:
    """Answer requests of this kind with a 503 from now on."""

    def answer(route: Route) -> None:
        if route.request.method == method:
            route.fulfill(**BUSY)
        else:
            route.fallback()

    tab.route(pattern, answer)


def test_address_of_a_new_link_stays_while_another_is_deleted(
    tab: Page, maria: httpx.Client, conversation: Json
) -> None:
    links = f"/conversations/{conversation['id']}/links"
    maria.post(links, json={}).raise_for_status()
    open_share(tab)
    tab.get_by_role("button", name="Create link").click()
    expect(tab.get_by_role("button", name="Delete the link of")).to_have_count(2)

    tab.get_by_role("button", name="Delete the link of").last.click()
    tab.get_by_role("group", name="The link stops").get_by_role("button", name="Delete").click()

    expect(tab.get_by_role("heading", name="Public links")).to_be_focused()
    expect(tab.get_by_role("button", name="Delete the link of")).to_have_count(1)
    expect(tab.get_by_label("New link")).to_be_visible()
    assert len(read(maria, links)["links"]) == 1


def test_list_of_members_that_was_not_read_does_not_look_complete(
    tab: Page, maria: httpx.Client, conversation: Json, console: Console
) -> None:
    console.expect("503")
    shares = f"/conversations/{conversation['id']}/shares"
    maria.post(shares, json={"user_id": "bob", "role": "viewer"}).raise_for_status()
    fail(tab, "**/shares", "GET")
    tab.get_by_role("button", name="Share", exact=True).click()
    expect(tab.get_by_role("dialog").get_by_text("It is busy.")).to_be_visible()

    tab.get_by_label("Add a person").fill("alice")
    tab.keyboard.press("Enter")
    expect(tab.get_by_label("Add a person")).to_have_value("")
    tab.unroute("**/shares")
    tab.get_by_role("button", name="Try again").click()

    expect(tab.get_by_label("Role of bob")).to_be_visible()
    expect(tab.get_by_label("Role of alice")).to_be_visible()


def test_next_person_is_typed_while_the_first_is_added(tab: Page, conversation: Json) -> None:
    open_share(tab)
    person = tab.get_by_label("Add a person")
    person.fill("alice")
    with late_answer(tab, "**/shares") as release:
        tab.keyboard.press("Enter")
    person.fill("bob")

    release()

    expect(tab.get_by_label("Role of alice")).to_be_visible()
    expect(person).to_have_value("bob")


def test_late_answer_of_a_dialog_does_not_close_another(tab: Page, conversation: Json) -> None:
    tab.get_by_role("button", name="Settings").click()
    tab.get_by_label("Max tokens").fill("500")
    with late_answer(tab, "**/chat-settings") as release:
        tab.get_by_role("button", name="Save").click()
    tab.get_by_role("dialog").get_by_role("button", name="Close").click()
    open_share(tab)
    tab.get_by_label("Add a person").fill("bob")

    release()

    expect(tab.get_by_text("Settings saved.")).to_be_attached()
    expect(tab.get_by_label("Add a person")).to_have_value("bob")


def test_tags_that_were_not_saved_are_saved_again(
    tab: Page, maria: httpx.Client, conversation: Json, console: Console
) -> None:
    console.expect("503")
    path = f"/conversations/{conversation['id']}"
    fail(tab, f"**{path}", "PATCH")
    choose(tab, "Regions", "Tags")
    tab.get_by_role("textbox", name="Tags").fill("sales")
    tab.keyboard.press("Enter")
    expect(tab.get_by_text("It is busy.")).to_be_visible()
    tab.unroute(f"**{path}")

    tab.get_by_role("button", name="Try again").click()

    eventually(lambda: read(maria, path)["tags"], ["sales"])


def test_tags_that_are_not_saved_after_their_dialog_was_closed(
    tab: Page, conversation: Json, console: Console
) -> None:
    console.expect("503")
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        waiting.append(route)

    tab.route(f"**/conversations/{conversation['id']}", hold)
    choose(tab, "Regions", "Tags")
    tab.get_by_role("textbox", name="Tags").fill("sales")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("dialog")).to_have_count(0)
    while not waiting:
        tab.wait_for_timeout(20)

    waiting[0].fulfill(**BUSY)

    expect(tab.get_by_role("alert").filter(has_text="Not saved. It is busy.")).to_be_visible()


def test_search_results_stay_when_the_next_page_fails(
    tab: Page, maria: httpx.Client, conversation: Json, console: Console
) -> None:
    console.expect("503")
    for number in range(24):
        post_message(maria, conversation, f"South {number}")
    tab.keyboard.press("Control+k")
    tab.get_by_role("searchbox").fill("south")
    results = tab.locator("button.result")
    expect(results).to_have_count(20)
    fail(tab, "**/search?*", "GET")
    tab.get_by_role("button", name="Show more").click()
    expect(tab.get_by_role("dialog").get_by_text("It is busy.").last).to_be_visible()
    expect(results).to_have_count(20)
    tab.unroute("**/search?*")

    tab.get_by_role("button", name="Try again").click()

    expect(results).to_have_count(25)


def test_comment_stays_when_its_rating_is_withdrawn_elsewhere(
    tab: Page, maria: httpx.Client, conversation: Json
) -> None:
    (message,) = read(maria, f"/conversations/{conversation['id']}/messages")["messages"]
    path = f"/messages/{message['id']}/feedback"
    maria.put(path, json={"rating": "up"}).raise_for_status()
    change(maria, f"/messages/{message['id']}", content="South, by 14 %")
    tab.get_by_role("button", name="Add a comment").click()
    comment = tab.get_by_role("textbox", name="Comment")
    comment.fill("A long comment")
    comment.press("Escape")
    maria.delete(path).raise_for_status()
    with tab.expect_response("**/messages?*"):
        post_message(maria, conversation, "Next")

    tab.get_by_role("dialog").get_by_role("button", name="Save").click()

    expect(tab.get_by_role("dialog")).to_have_count(0)
    assert read(maria, f"/messages/{message['id']}")["feedback"]["comment"] == "A long comment"
