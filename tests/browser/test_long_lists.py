"""Ten thousand conversations and five thousand messages scroll like ten.

The longest pause is recorded, not asserted: it depends on the machine. What is asserted does not:
how many elements exist, and how much is asked from the server.
"""

from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser import many
from tests.browser.clock import start_clock
from tests.browser.conftest import Figure, NewTab
from tests.browser.console import Console
from tests.browser.using import messages, open_row, rows
from tests.calls import new_conversation

MORE_MESSAGES = """(count) =>
  document.querySelectorAll(".scroll article").length > count"""
# A browser reports the scrolling of a user before it lays out the frame, that of a script after it.
SCROLL_FOR_MORE = """(count) => {
  const box = document.querySelector(".scroll");
  box.scrollTop = 0;
  box.dispatchEvent(new Event("scroll"));
  return document.querySelectorAll(".scroll article").length > count;
}"""
TO_THE_TOP = """() => {
  const box = document.querySelector(".scroll");
  box.scrollTop = 200;
  box.dispatchEvent(new Event("scroll"));
  const message = box.querySelectorAll("article")[2];
  const [text] = message.textContent.match(/Message \\d+ of many\\./);
  return [text, message.getBoundingClientRect().top];
}"""
PLACE = """(text) => [...document.querySelectorAll(".scroll article")]
  .find((message) => message.textContent.includes(text)).getBoundingClientRect().top"""
SKIPPED = """() => [...document.querySelectorAll(".scroll article")]
  .filter((message) => !message.checkVisibility({ contentVisibilityAuto: true })).length"""
# A busy browser calls an observer late, with all that has happened since.
LATE_OBSERVERS = """
window.IntersectionObserver = class extends IntersectionObserver {
  constructor(callback, options) {
    const late = [];
    super((entries, observer) => {
      if (!late.length) setTimeout(() => callback(late.splice(0), observer), 200);
      late.push(...entries);
    }, options);
  }
};
"""
SHOWN = 1000
"""How many messages are loaded in the test of 5,000: each page costs the same, so these suffice."""
WATCH = """() => {
  window.pauses = [];
  new PerformanceObserver((list) => pauses.push(...list.getEntries().map((e) => e.duration)))
    .observe({ type: "longtask" });
}"""
SCROLL = """async ([selector, step, times]) => {
  const box = document.querySelector(selector);
  for (let n = 0; n < times; n += 1) {
    box.scrollTop += step;
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  }
  return [box.scrollTop, box.scrollHeight - box.clientHeight];
}"""


def longest_pause(page: Page) -> float:
    """Return the longest time in milliseconds during which the page did not react."""
    pauses: list[float] = page.evaluate("pauses")
    return max(pauses, default=0)


def test_ten_thousand_conversations(
    new_tab: NewTab, user: str, maria: httpx.Client, database: Any, figure: Figure
) -> None:
    many.conversations(database, user, 10_000)
    tab = new_tab(user)
    expect(rows(tab).first).to_contain_text("Conversation 1")
    requests: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.evaluate(WATCH)

    most = 0
    while not tab.locator(".list [aria-posinset='10000']").count():
        tab.evaluate(SCROLL, [".list", 2500, 30])
        most = max(most, rows(tab).count())

    expect(rows(tab).last).to_contain_text("Conversation 10000")
    figure("longest pause, ms", round(longest_pause(tab)))
    figure("rows in the page", most)
    assert most <= 60
    pages = [url for url in requests if "/conversations?" in url]
    assert len(pages) <= 101, "a page of the list is asked for once"
    tab.evaluate(SCROLL, [".list", -10_000_000, 1])
    expect(rows(tab).first).to_contain_text("Conversation 1")


def test_five_thousand_messages(
    new_tab: NewTab, user: str, maria: httpx.Client, database: Any, figure: Figure
) -> None:
    conversation = new_conversation(maria)["id"]
    many.messages(database, user, conversation, 5000)
    tab = new_tab(user, conversation=conversation)
    expect(messages(tab).last).to_contain_text("Message 5000 of many.")
    requests: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.evaluate(WATCH)
    cpu_seconds = start_clock(tab)

    shown = 0
    while shown < SHOWN:
        shown = tab.locator(".scroll article").count()  # finding them by role takes 100 ms itself
        tab.wait_for_function(SCROLL_FOR_MORE, arg=shown)

    figure("longest pause, ms", round(longest_pause(tab)))
    figure("CPU for each 20 messages, ms", round(cpu_seconds() * 1000 / (shown / 20)))
    pages = [url for url in requests if "/messages?" in url]
    assert len(pages) <= shown / 20 + 2, "a page of messages is asked for once"
    # What cannot be seen is not laid out, so scrolling does not cost more than in a short thread.
    assert tab.evaluate(SKIPPED) >= shown * 0.9


def test_older_messages_load_in_a_busy_browser(
    new_tab: NewTab,
    new_context: Callable[..., BrowserContext],
    user: str,
    maria: httpx.Client,
    database: Any,
) -> None:
    conversation = new_conversation(maria)["id"]
    many.messages(database, user, conversation, 200)
    context = new_context()
    context.add_init_script(LATE_OBSERVERS)
    tab = new_tab(user, context=context, conversation=conversation)
    expect(messages(tab).last).to_contain_text("Message 200 of many.")

    while (shown := messages(tab).count()) < 200:
        tab.wait_for_function(SCROLL_FOR_MORE, arg=shown)


def test_older_messages_load_without_a_jump(
    new_tab: NewTab, user: str, maria: httpx.Client, database: Any
) -> None:
    conversation = new_conversation(maria)["id"]
    many.messages(database, user, conversation, 300)
    tab = new_tab(user, conversation=conversation)
    expect(messages(tab).last).to_contain_text("Message 300 of many.")
    tab.wait_for_timeout(300)  # until it has come to rest at its end

    for _ in range(6):
        count = messages(tab).count()
        text, before = tab.evaluate(TO_THE_TOP)
        tab.wait_for_function(MORE_MESSAGES, arg=count)
        tab.wait_for_timeout(200)
        after = tab.evaluate(PLACE, text)
        assert abs(after - before) <= 3, (text, before, after)


def test_failing_server_is_not_asked_without_pause(
    new_tab: NewTab, user: str, maria: httpx.Client, database: Any, console: Console
) -> None:
    console.expect("500")
    conversation = new_conversation(maria)["id"]
    many.messages(database, user, conversation, 300)
    tab = new_tab(user, conversation=conversation)
    expect(messages(tab).last).to_contain_text("Message 300 of many.")
    failed: list[str] = []

    def fail(route: Route) -> None:
        failed.append(route.request.url)
        route.fulfill(status=500, body="")

    tab.route("**/messages?*cursor=*", fail)
    tab.wait_for_timeout(300)
    tab.evaluate(TO_THE_TOP)
    expect(tab.get_by_role("button", name="Load older messages")).to_be_visible()
    tab.wait_for_timeout(2000)

    assert 1 <= len(failed) <= 5


def test_scroll_event_that_comes_late(tab: Page, maria: httpx.Client) -> None:
    """The page has no exception: see console.py."""
    new_conversation(maria, title="Leases")
    new_conversation(maria, title="Regions")
    open_row(tab, "Leases")
    tab.evaluate("window.boxes = [document.querySelector('.scroll')]")
    open_row(tab, "Regions")
    tab.evaluate("boxes.push(document.querySelector('.list'))")
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()

    tab.evaluate("boxes.forEach((box) => box.dispatchEvent(new Event('scroll')))")
