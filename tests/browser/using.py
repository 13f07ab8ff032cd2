"""What a user does with the page, by the names that a screen reader says."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import APIResponse, Locator, Page, Route, expect

SECONDS = 30
LONG_TOASTS = """
const soon = window.setTimeout.bind(window);
window.setTimeout = (run, ms, ...more) => soon(run, ms === 6000 ? 120_000 : ms, ...more);
"""
"""A script for tests that press Undo, which the page offers for six seconds."""

NOTHING_TO_SEND = """() => Object.entries(sessionStorage)
  .every(([key, value]) => !key.includes("outbox") || value === "[]")"""
"""True when the server has confirmed all that the user has sent."""


def say(page: Page, text: str) -> None:
    """Write a message and send it with Enter."""
    field = page.get_by_role("textbox", name="Message", exact=True)
    field.fill(text)
    field.press("Enter")


def messages(page: Page) -> Locator:
    """Return the messages of the open conversation, with those on their way."""
    return page.get_by_role("region", name="Messages").get_by_role("article")


def expect_messages(page: Page, *texts: str) -> None:
    """Wait until the open conversation shows exactly these messages, and no agent is at work."""
    bubbles = messages(page).locator(".bubble")
    expect(bubbles).to_have_text(list(texts), use_inner_text=True)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(bubbles).to_have_text(list(texts), use_inner_text=True)


def rows(page: Page) -> Locator:
    """Return the visible rows of the list of conversations."""
    return page.get_by_role("navigation", name="Conversations").locator("a[data-id]")


def titles(page: Page) -> Locator:
    """Return the titles of the visible rows."""
    return rows(page).locator(".row-title")


def open_row(page: Page, title: str) -> None:
    """Open a conversation by its title."""
    rows(page).filter(has_text=title).first.click()
    expect(page.locator(".thread-title")).to_have_text(title)


def choose(page: Page, title: str, action: str) -> None:
    """Choose an action in the menu of a conversation's row."""
    row = page.get_by_role("listitem").filter(has=page.locator("a[data-id]", has_text=title))
    row.hover()
    row.get_by_role("button", name=f"Actions for {title}").click()
    page.get_by_role("menuitem", name=action).click()


def eventually(stored: Callable[[], object], expected: object) -> None:
    """Fail unless the server has stored what is expected: the page shows changes before that."""
    deadline = time.monotonic() + SECONDS
    while (found := stored()) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == expected


@contextmanager
def late_answer(tab: Page, pattern: str) -> Iterator[Callable[[], None]]:
    """Keep the next answer to a request of this pattern. Yields what gives it to the page."""
    seen: list[Route] = []
    held: list[APIResponse] = []

    def hold_first(route: Route) -> None:
        seen.append(route)
        if len(seen) == 1:
            held.append(route.fetch())
        else:
            route.fallback()

    tab.route(pattern, hold_first)
    yield lambda: seen[0].fulfill(response=held[0])
    while not held:
        tab.wait_for_timeout(20)
