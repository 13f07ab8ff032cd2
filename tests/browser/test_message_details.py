"""Tools, routing decision, attachments and feedback of a message, and tags of a conversation."""

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.browser.console import Console
from tests.browser.using import eventually

HOSTILE = "</pre><img src=x onerror=\"document.title='gone'\">"
ANSWER = {
    "role": "assistant",
    "content": "Harbour Street costs less.",
    "tool_calls": [
        {"tool_name": "document_search", "success": True, "output": {"rent": HOSTILE}},
        {"tool_name": HOSTILE, "success": False, "error": "Timed out"},
    ],
    "parts": [{"type": "reasoning", "text": "The offer names a rent."}, {"type": "chart", "x": 1}],
    "routing_decision": {
        "routing_decision": {"selected_agents": ["document-agent"], "confidence": 0.88},
        "execution_plan": [{"step": 1, "type": "tool", "name": "image_to_text"}],
    },
    "metadata": {"team": HOSTILE},
}


def _show(tab: Page, maria: httpx.Client, **message: object) -> tuple[Locator, str]:
    """Open a conversation with one message; return its article and its id."""
    conversation_id = maria.post("/conversations", json={"title": "Leases"}).json()["id"]
    path = f"/conversations/{conversation_id}/messages"
    message_id: str = maria.post(path, json=message).raise_for_status().json()["id"]
    tab.locator(f'[data-id="{conversation_id}"]').click()
    article = tab.get_by_role("article")
    expect(article).to_be_visible()
    return article, message_id


def test_tools_routing_and_metadata_are_opened_as_text(tab: Page, maria: httpx.Client) -> None:
    article, _ = _show(tab, maria, **ANSWER)
    sections = article.locator("summary")
    assert [" ".join(text.split()) for text in sections.all_inner_texts()] == [
        "Tool document_search done",
        f"Tool {HOSTILE} failed",
        "Reasoning",
        "Part chart",
        "Routing document-agent 88% sure",
        "Metadata",
    ]

    for section in sections.all():
        section.click()

    expect(article.locator("pre", has_text='"rent": "</pre><img')).to_be_visible()
    for text in ("Timed out", "The offer names a rent.", "image_to_text", '"team"'):
        expect(article.get_by_text(text)).to_be_visible()
    expect(article.locator("img")).to_have_count(0)
    assert tab.title() != "gone"


def test_attachment_shows_its_text_and_opens_only_web_addresses(
    tab: Page, maria: httpx.Client
) -> None:
    ids = [
        maria.post("/chat-attachments", json={"filename": name, "file_url": url} | more).json()[
            "id"
        ]
        for name, url, more in (
            ("a.pdf", "https://files.example.org/a.pdf", {"parsed_content": "The rent is 3,150."}),
            ("b.pdf", "javascript:document.title='gone'", {"size_bytes": 482133}),
        )
    ]
    article, _ = _show(tab, maria, role="user", content="How high?", attachment_ids=ids)
    dialog = tab.get_by_role("dialog")

    article.get_by_role("button", name="a.pdf").click()
    expect(dialog.get_by_text("The rent is 3,150.")).to_be_visible()
    link = dialog.get_by_role("link", name="Open the file")
    expect(link).to_have_attribute("href", "https://files.example.org/a.pdf")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    tab.keyboard.press("Escape")
    expect(article.get_by_role("button", name="a.pdf")).to_be_focused()

    article.get_by_role("button", name="b.pdf 482.1 kB").click()
    expect(dialog.get_by_text("javascript:document.title='gone'")).to_be_visible()
    expect(dialog.get_by_role("link")).to_have_count(0)


def test_feedback_is_given_explained_and_withdrawn(tab: Page, maria: httpx.Client) -> None:
    article, message_id = _show(tab, maria, role="assistant", content="South, by 14 %.")
    bad = article.get_by_role("button", name="Bad answer")

    def stored() -> object:
        return maria.get(f"/messages/{message_id}").json()["feedback"]

    bad.click()
    expect(bad).to_have_attribute("aria-pressed", "true")
    article.get_by_role("button", name="Add a comment").click()
    dialog = tab.get_by_role("dialog", name="What was not good?")
    expect(dialog.get_by_label("Comment")).to_be_focused()
    tab.keyboard.type("Which table?")
    dialog.get_by_role("textbox", name="Tags").fill("no source,")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    feedback = {"rating": "down", "tags": ["no source"], "comment": "Which table?"}
    eventually(stored, feedback)

    article.get_by_role("button", name="Good answer").click()
    expect(article.locator(".feedback[aria-busy=true]")).to_have_count(0)
    expect(bad).to_have_attribute("aria-pressed", "false")
    eventually(stored, feedback | {"rating": "up"})

    article.get_by_role("button", name="Good answer").click()
    expect(article.get_by_role("button", name="comment")).to_have_count(0)
    eventually(stored, None)


def test_tags_are_saved_one_after_the_other(
    tab: Page, maria: httpx.Client, console: Console
) -> None:
    console.expect("422")
    _show(tab, maria, role="user", content="How high is the rent?")
    tab.get_by_role("button", name="Actions", exact=True).click()
    tab.get_by_role("menuitem", name="Tags").click()
    dialog = tab.get_by_role("dialog", name="Tags of “Leases”")
    field = dialog.get_by_role("textbox", name="Tags")
    expect(field).to_be_focused()

    for tag in ("office", "2026", "office", "x" * 51):
        tab.keyboard.type(tag)
        tab.keyboard.press("Enter")
    expect(dialog.get_by_text("must have at most 50 characters")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")

    tab.keyboard.press("Backspace")
    dialog.get_by_role("button", name="Remove office").click()
    expect(field).not_to_have_attribute("aria-invalid", "true")
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("main").get_by_role("button", name="2026")).to_be_visible()
    expect(tab.get_by_role("main").get_by_role("button", name="office")).to_be_hidden()
    eventually(lambda: maria.get("/conversations").json()["conversations"][0]["tags"], ["2026"])
