"""Sharing a conversation: members, public links, and what a link shows without a token."""

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewTab
from tests.browser.console import Console
from tests.browser.using import eventually
from tests.servers import Server

HOSTILE = "<img src=x onerror=\"document.title='gone'\"> **South**, by 14 %."


def _conversation(client: httpx.Client, title: str = "Regions", **message: object) -> str:
    body = {"title": title}
    conversation_id: str = client.post("/conversations", json=body).json()["id"]
    sent = {"role": "user", "content": "Which region grew fastest?"} | message
    client.post(f"/conversations/{conversation_id}/messages", json=sent).raise_for_status()
    return conversation_id


def _open(tab: Page, conversation_id: str, button: str = "Share") -> None:
    tab.locator(f'[data-id="{conversation_id}"]').click()
    tab.get_by_role("button", name=button, exact=True).click()


def test_owner_adds_a_member_changes_the_role_and_removes_them(
    tab: Page, maria: httpx.Client, console: Console
) -> None:
    console.expect("422")
    conversation_id = _conversation(maria)
    shares = f"/conversations/{conversation_id}/shares"
    _open(tab, conversation_id)
    person = tab.get_by_label("Add a person")
    expect(person).to_be_focused()

    person.fill("..")
    tab.keyboard.press("Enter")
    expect(tab.get_by_text("The user id is not valid.")).to_be_visible()
    expect(person).to_have_attribute("aria-invalid", "true")

    person.fill("google/123")
    tab.keyboard.press("Enter")
    role = tab.get_by_label("Role of google/123")
    role.select_option("Editor")
    expect(person).to_have_value("")
    eventually(lambda: [each["role"] for each in maria.get(shares).json()["shares"]], ["editor"])

    tab.get_by_role("button", name="Remove google/123").click()
    expect(role).to_be_hidden()
    expect(tab.get_by_role("heading", name="Who has access")).to_be_focused()
    assert maria.get(shares).json()["shares"] == []


def test_member_leaves(tab: Page, user: str, server: Server, console: Console) -> None:
    console.expect("403")
    with server.client(f"owner-of-{user}") as owner:
        conversation_id = _conversation(owner)
        shares = f"/conversations/{conversation_id}/shares"
        owner.post(shares, json={"user_id": user, "role": "viewer"}).raise_for_status()
        _open(tab, conversation_id, "Members")
        dialog = tab.get_by_role("dialog", name="Members of “Regions”")

        dialog.get_by_role("button", name="Leave").click()
        expect(dialog.get_by_role("button", name="Stay")).to_be_focused()
        dialog.get_by_role("button", name="Leave").click()

        expect(dialog).to_be_hidden()
        expect(tab.locator(f'[data-id="{conversation_id}"]')).to_be_hidden()
        assert owner.get(shares).json()["shares"] == []


def test_link_shows_the_snapshot_without_a_token_until_it_is_deleted(
    tab: Page, maria: httpx.Client, new_tab: NewTab, console: Console
) -> None:
    console.expect("404")
    file = {
        "filename": "regions.csv",
        "file_url": "javascript:document.title='gone'",
        "mime_type": "text/csv",
    }
    attachment = maria.post("/chat-attachments", json=file).json()["id"]
    conversation_id = _conversation(maria, content=HOSTILE, attachment_ids=[attachment])
    _open(tab, conversation_id)

    tab.get_by_label("Show attachments").check()
    tab.get_by_role("button", name="Create link").click()
    field = tab.get_by_label("New link")
    expect(field).to_be_focused()
    reader = new_tab(fragment=field.input_value().partition("#")[2])

    expect(reader.get_by_role("heading", name="Regions")).to_be_visible()
    expect(reader).to_have_title("Regions")
    expect(reader.get_by_role("article")).to_contain_text("<img src=x onerror=")
    expect(reader.locator(".bubble strong")).to_have_text("South")
    reader.get_by_role("button", name="regions.csv").click()
    dialog = reader.get_by_role("dialog", name="regions.csv")
    expect(dialog).to_contain_text("javascript:document.title='gone'")
    expect(dialog.get_by_role("link")).to_have_count(0)

    tab.get_by_role("button", name="Delete the link").click()
    tab.get_by_role("button", name="Delete", exact=True).click()
    expect(tab.get_by_role("button", name="Delete the link")).to_have_count(0)
    reader.reload()
    expect(reader.get_by_role("heading", name="This link does not work")).to_be_visible()


def test_link_opens_in_a_tab_that_shows_something_else(
    tab: Page, server: Server, maria: httpx.Client
) -> None:
    links = []
    for title in ("First", "Second"):
        conversation_id = _conversation(maria, title)
        link = maria.post(f"/conversations/{conversation_id}/links", json={}).json()
        links.append(f"{server.url}/#shared={link['secret']}")
    expect(tab.get_by_text("Second").first).to_be_visible()

    for link, title in zip(links, ("First", "Second"), strict=True):
        tab.goto(link)
        expect(tab.get_by_role("heading", name=title, level=1)).to_be_visible()
    tab.goto(f"{server.url}/#/new")

    expect(tab.get_by_role("heading", name="New conversation")).to_be_visible()
