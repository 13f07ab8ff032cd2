"""The field to write in: input methods, drafts and the agent that answers."""

import httpx
from playwright.sync_api import Page, expect

from tests.browser.using import messages, open_row, rows
from tests.calls import new_conversation, post_message, read
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
