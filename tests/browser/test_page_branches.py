"""Versions of messages on the page: answer again, ask again, edit, and switch between them."""

import httpx
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.console import Console
from tests.browser.using import eventually, expect_messages, messages, open_row, say
from tests.calls import messages_of, new_conversation, post_message, read


def press(message: Locator, name: str) -> None:
    """Press a button below a message, which appears when the mouse is over the message."""
    message.hover()
    message.get_by_role("button", name=name, exact=True).click()


def test_answer_is_given_again_as_another_version(
    tab: Page, echo: None, maria: httpx.Client
) -> None:
    say(tab, "Which region?")
    expect_messages(tab, "Which region?", "Which region?")

    press(messages(tab).nth(1), "Answer again")

    expect(messages(tab).nth(1)).to_contain_text("2 of 2")
    expect_messages(tab, "Which region?", "Which region?")
    press(messages(tab).nth(1), "Previous version")
    expect(messages(tab).nth(1)).to_contain_text("1 of 2")
    (conversation,) = maria.get("/conversations").json()["conversations"]
    eventually(lambda: read(maria, messages_of(conversation))["messages"][-1]["sibling_index"], 1)


def test_question_is_changed_and_asked_again(tab: Page, echo: None) -> None:
    say(tab, "Which region?")
    expect_messages(tab, "Which region?", "Which region?")

    press(messages(tab).nth(0), "Edit")
    tab.get_by_role("textbox", name="Text of the message").fill("Which team?")
    tab.get_by_role("button", name="Ask again").click()

    expect_messages(tab, "Which team?", "Which team?")
    press(messages(tab).nth(0), "Previous version")
    expect_messages(tab, "Which region?", "Which region?")


def test_edit_is_saved_with_its_versions(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Regions")
    message = post_message(maria, conversation, "Where?")
    open_row(tab, "Regions")

    press(messages(tab).nth(0), "Edit")
    tab.get_by_role("textbox", name="Text of the message").fill("Which region?")
    tab.get_by_role("button", name="Save").click()

    expect_messages(tab, "Which region?")
    assert read(maria, f"/messages/{message['id']}")["version"] == 2
    press(messages(tab).nth(0), "Edited")
    expect(tab.get_by_role("dialog")).to_contain_text("Version 2")


def test_edit_does_not_overwrite_what_the_user_has_not_seen(
    tab: Page, maria: httpx.Client, console: Console
) -> None:
    console.expect("412")
    conversation = new_conversation(maria, title="Regions")
    message = post_message(maria, conversation, "First text")
    open_row(tab, "Regions")
    with tab.expect_response(f"**/messages/{message['id']}"):  # the version that the user has seen
        press(messages(tab).nth(0), "Edit")
    field = tab.get_by_role("textbox", name="Text of the message")
    field.fill("Mine")
    maria.patch(f"/messages/{message['id']}", json={"content": "Theirs"}).raise_for_status()

    tab.get_by_role("button", name="Save").click()

    expect(tab.get_by_role("alert").filter(has_text="Theirs")).to_be_visible()
    expect(field).to_have_value("Mine")
    tab.get_by_role("button", name="Save").click()
    expect_messages(tab, "Mine")


def test_edit_of_an_outdated_text_shows_the_current_one_first(
    tab: Page, maria: httpx.Client
) -> None:
    conversation = new_conversation(maria, title="Regions")
    message = post_message(maria, conversation, "First text")
    path = f"/messages/{message['id']}"
    open_row(tab, "Regions")

    def change_first(route: Route) -> None:
        maria.patch(path, json={"content": "Theirs"}).raise_for_status()
        route.continue_()

    tab.route(f"**{path}", change_first, times=1)
    press(messages(tab).nth(0), "Edit")

    expect(tab.get_by_role("alert").filter(has_text="Theirs")).to_be_visible()
    expect(tab.get_by_role("textbox", name="Text of the message")).to_have_value("First text")


def test_edit_is_not_saved_without_the_version_it_replaces(
    tab: Page, maria: httpx.Client, console: Console
) -> None:
    console.expect("ERR_FAILED")
    conversation = new_conversation(maria, title="Regions")
    message = post_message(maria, conversation, "First text")
    open_row(tab, "Regions")
    tab.route(f"**/messages/{message['id']}", lambda route: route.abort(), times=1)
    press(messages(tab).nth(0), "Edit")
    expect(tab.get_by_role("alert").filter(has_text="could not be read")).to_be_visible()

    tab.get_by_role("textbox", name="Text of the message").fill("Mine")
    with tab.expect_request(lambda request: request.method == "PATCH") as sent:
        tab.get_by_role("button", name="Save").click()

    assert sent.value.header_value("If-Match") is not None
    expect_messages(tab, "Mine")


def test_deleted_message_disappears(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Regions")
    post_message(maria, conversation, "Wrong")
    post_message(maria, conversation, "Right")
    open_row(tab, "Regions")

    press(messages(tab).nth(0), "More")
    tab.get_by_role("menuitem", name="Delete").click()

    expect_messages(tab, "Right")


def test_copy_up_to_a_message_is_opened(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Regions")
    post_message(maria, conversation, "First")
    post_message(maria, conversation, "Second")
    open_row(tab, "Regions")

    press(messages(tab).nth(0), "More")
    tab.get_by_role("menuitem", name="Copy the conversation up to here").click()

    expect(tab.get_by_text("This is your copy.")).to_be_visible()
    expect_messages(tab, "First")
    assert maria.get("/conversations").json()["total"] == 2


def test_edited_text_is_not_lost_and_the_focus_stays(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Regions")
    question = post_message(maria, conversation, "Which region?")
    post_message(maria, conversation, "Which team?", sibling_of=question["id"])
    open_row(tab, "Regions")
    press(messages(tab).nth(0), "Edit")
    field = tab.get_by_role("textbox", name="Text of the message")
    field.fill("A long text")

    field.press("Escape")

    expect(field).to_have_value("A long text")
    tab.get_by_role("button", name="Cancel").click()
    expect(messages(tab).nth(0)).to_be_focused()
    press(messages(tab).nth(0), "Previous version")
    expect(tab.locator(f"#message-{question['id']}")).to_be_focused()


def test_focus_stays_in_the_thread(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Regions")
    question = post_message(maria, conversation, "Which region?")
    post_message(maria, conversation, "South", role="assistant")
    open_row(tab, "Regions")

    press(messages(tab).nth(1), "More")
    tab.get_by_role("menuitem", name="Delete").click()

    expect(tab.locator(f"#message-{question['id']}")).to_be_focused()
    tab.get_by_role("button", name="Actions", exact=True).click()
    tab.get_by_role("menuitem", name="Rename").click()
    tab.get_by_role("textbox", name="Title").fill("Growth")
    tab.keyboard.press("Enter")
    expect(tab.locator("#thread")).to_be_focused()
