"""What members of a shared conversation see on the page, and what it does not offer to them."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewTab
from tests.browser.console import Console
from tests.browser.using import (
    NOTHING_TO_SEND,
    expect_messages,
    messages,
    open_row,
    rows,
    say,
)
from tests.calls import Json, new_conversation, new_run, post_message
from tests.live.echoing import echoing
from tests.servers import Server
from tests.workers import new_agent


@pytest.fixture
def shared(maria: httpx.Client) -> Json:
    """A conversation of maria, with one message."""
    conversation = new_conversation(maria, title="Lease offers")
    post_message(maria, conversation, "Which one costs less?")
    return conversation


def share(maria: httpx.Client, conversation: Json, user: str, role: str) -> None:
    """Give a user a role."""
    body = {"user_id": user, "role": role}
    maria.post(f"/conversations/{conversation['id']}/shares", json=body).raise_for_status()


def test_viewer_reads_and_is_not_offered_more(
    new_tab: NewTab, maria: httpx.Client, user: str, shared: Json
) -> None:
    share(maria, shared, f"viewer-of-{user}", "viewer")
    tab = new_tab(f"viewer-of-{user}")

    open_row(tab, "Lease offers")

    expect(tab.get_by_text("You can read this conversation.")).to_be_visible()
    expect(tab.get_by_role("textbox", name="Message", exact=True)).to_have_count(0)
    message = messages(tab).nth(0)
    message.hover()
    expect(message.get_by_role("heading")).to_have_text(user)
    expect(message.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    expect(message.get_by_role("button", name="Edit")).to_have_count(0)
    tab.get_by_role("button", name="Actions", exact=True).click()
    expect(tab.get_by_role("menuitem")).to_have_text(
        ["Pin", "Tags", "Archive", "Members", "Make a copy"]
    )


def test_editor_writes_and_follows_the_answer_to_the_owner(
    server: Server, new_tab: NewTab, maria: httpx.Client, user: str, shared: Json, tmp_path: Path
) -> None:
    share(maria, shared, f"editor-of-{user}", "editor")
    tab = new_tab(f"editor-of-{user}")
    open_row(tab, "Lease offers")

    say(tab, "Harbour Street, I think.")

    expect_messages(tab, "Which one costs less?", "Harbour Street, I think.")
    tab.wait_for_function(NOTHING_TO_SEND)
    assert maria.get("/runs").json()["total"] == 0
    agent = new_agent()
    post_message(maria, shared, " ".join(f"word{n}" for n in range(150)))
    new_run(maria, agent_id=agent, conversation_id=shared["id"])
    with echoing(server.url, tmp_path, agent):
        expect(tab.locator("[aria-busy=true]")).to_contain_text("word5")
        tab.get_by_role("link", name="New conversation").click()
        expect(messages(tab)).to_have_count(0)
        open_row(tab, "Lease offers")
        expect(tab.locator("[aria-busy=true]")).to_contain_text("word60")
        expect(tab.locator("[aria-busy=true]")).to_have_count(0)
    expect(messages(tab)).to_have_count(4)


def test_conversation_of_a_removed_member_is_closed(
    new_tab: NewTab, maria: httpx.Client, user: str, shared: Json, console: Console
) -> None:
    console.expect("403")
    member = f"viewer-of-{user}"
    share(maria, shared, member, "viewer")
    tab = new_tab(member)
    open_row(tab, "Lease offers")

    maria.delete(f"/conversations/{shared['id']}/shares/{member}").raise_for_status()

    expect(tab.get_by_text("is not shared with you any more")).to_be_visible()
    expect(rows(tab)).to_have_count(0)
    expect(messages(tab)).to_have_count(0)


def test_conversation_of_another_user_in_the_address_is_refused(
    new_tab: NewTab, user: str, shared: Json, console: Console
) -> None:
    console.expect("403")
    tab: Page = new_tab(f"stranger-of-{user}")

    tab.goto(f"{tab.url}#/{shared['id']}")

    refusal = tab.get_by_role("alert").filter(has_text="does not exist, or is not shared with you")
    expect(refusal).to_be_visible()
    expect(tab.get_by_text("What would you like to know?")).to_be_visible()
