"""Search: highlights, the keyboard, mistakes in what is searched for, more results."""

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.console import Console
from tests.browser.using import late_answer
from tests.calls import new_conversation, post_message


@pytest.fixture
def leases(maria: httpx.Client) -> str:
    """A conversation in which more messages match than a page of results has."""
    conversation_id: str = maria.post("/conversations", json={"title": "Leases"}).json()["id"]
    path = f"/conversations/{conversation_id}/messages"
    maria.post(path, json={"role": "user", "content": "😀 The lease of <b>Mill Lane</b> is fixed."})
    for number in range(24):
        maria.post(path, json={"role": "assistant", "content": f"A long answer, offer {number}."})
    return conversation_id


@pytest.fixture
def search(tab: Page) -> Locator:
    """The open search, with the focus in its field."""
    tab.get_by_role("button", name="Search").click()
    found = tab.get_by_role("search")
    expect(found.get_by_role("searchbox")).to_be_focused()
    return found


def test_finds_words_marks_them_and_opens_the_message(search: Locator, leases: str) -> None:
    page = search.page

    page.keyboard.type("LEASE -parking")

    expect(search.locator("mark")).to_have_text("lease")
    expect(search.get_by_role("listitem")).to_contain_text("😀 The lease of <b>Mill Lane</b>")
    page.keyboard.press("ArrowDown")
    expect(search.get_by_role("button", name="Mill Lane")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/#/{leases}")
    expect(page.get_by_role("article").filter(has_text="Mill Lane")).to_be_visible()


def test_shows_more_results_until_there_are_none(search: Locator, leases: str) -> None:
    search.page.keyboard.type("offer")

    expect(search.get_by_role("listitem")).to_have_count(20)
    expect(search.get_by_role("status")).to_have_text("20 messages, and more")
    search.get_by_role("button", name="Show more").click()
    expect(search.get_by_role("listitem")).to_have_count(24)
    expect(search.get_by_role("button", name="Show more")).to_be_hidden()


def test_says_why_there_are_no_results(search: Locator, leases: str, console: Console) -> None:
    console.expect("422")
    page = search.page

    page.keyboard.type("-lease")
    expect(search.locator(".notice")).to_contain_text("only exclusions")

    page.keyboard.press("Escape")
    expect(search.get_by_role("searchbox")).to_have_value("")
    page.keyboard.type("nothing-like-this")
    expect(search.get_by_role("status")).to_have_text("No message matches.")


def test_opens_the_first_of_many_messages(tab: Page, search: Locator, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Leases")
    first = post_message(maria, conversation, "Which harbour?")
    for number in range(60):
        post_message(maria, conversation, f"Offer {number}")
    tab.keyboard.type("harbour")

    with (
        late_answer(tab, "**/messages?*cursor=*") as release,
        late_answer(tab, "**/runs?*") as go_on,
    ):
        search.get_by_role("button", name="Which harbour?").click()
    go_on()  # while older messages are loaded, because the newest ones do not fill the window
    tab.wait_for_timeout(200)
    release()

    expect(tab.locator(f"#message-{first['id']}")).to_be_focused()
