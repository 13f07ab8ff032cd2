"""axe finds nothing serious in any state of the page, and everything works without a mouse."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import sample
from tests.browser.axe import serious
from tests.browser.conftest import NewTab
from tests.browser.console import Console
from tests.browser.using import messages, open_row, rows, say
from tests.servers import Server

FOCUSED = """() => {
  // Fields show a cursor, and the box around them is marked.
  const e = document.activeElement;
  const { outlineStyle, boxShadow } = getComputedStyle(e);
  const isField = e.matches("input, textarea, body");
  const ring = outlineStyle !== "none" || boxShadow !== "none" || isField;
  return [e.getAttribute("aria-label") ?? e.textContent.trim().slice(0, 40), ring, e.outerHTML];
}"""
TITLE = "Which region grew fastest?"
# A busy browser draws its next frame long after the user has pressed the next key.
LATE_FRAMES = """
const nextFrame = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (callback) => setTimeout(() => nextFrame(callback), 1000);
"""


def show_signed_out(page: Page) -> None:
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Token").fill("nonsense")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This is not a token")).to_be_visible()


def open_thread(page: Page) -> None:
    open_row(page, TITLE)
    expect(messages(page)).to_have_count(4)
    while (closed := page.locator("details:not([open]) > summary")).count():
        closed.first.click()


def open_menu(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Actions for")).first.click()
    expect(page.get_by_role("menu")).to_be_visible()


def close_menu(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)


def open_dialog(name: str) -> Callable[[Page], None]:
    def show(page: Page) -> None:
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        expect(page.get_by_role("dialog").get_by_text(re.compile("^Loading "))).to_have_count(0)

    return show


def search(page: Page) -> None:
    open_dialog("Search")(page)
    page.get_by_role("searchbox").fill("harbour")
    expect(page.get_by_role("dialog").locator("mark").first).to_be_visible()


def close_dialog(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Close").first.click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def open_tags(page: Page) -> None:
    page.get_by_role("button", name="Actions", exact=True).click()
    page.get_by_role("menuitem", name="Tags").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def go_offline(page: Page) -> None:
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline.")).to_be_visible()
    say(page, "On its way")


def go_online(page: Page) -> None:
    page.context.set_offline(False)
    expect(page.get_by_text("You are offline.")).to_have_count(0)


def become_narrow(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})


def nothing(_page: Page) -> None:
    """Leave the page as it is."""


STATES: dict[str, tuple[Callable[[Page], None], Callable[[Page], None]]] = {
    "thread": (open_thread, nothing),
    "menu": (open_menu, close_menu),
    "settings": (open_dialog("Settings"), close_dialog),
    "share": (open_dialog("Share"), close_dialog),
    "tags": (open_tags, close_dialog),
    "search": (search, close_dialog),
    "offline": (go_offline, go_online),
    "narrow": (become_narrow, nothing),
    "drawer": (lambda page: page.get_by_role("button", name="Conversations").click(), nothing),
}
"""How to reach each state of a user who is signed in, and how to leave it."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    scheme: str,
    new_tab: NewTab,
    user: str,
    maria: httpx.Client,
    server: Server,
    console: Console,
    subtests: pytest.Subtests,
) -> None:
    console.expect("ERR_INTERNET_DISCONNECTED", "ERR_INCOMPLETE_CHUNKED", "401")
    with subtests.test("signed out"):
        page = new_tab(color_scheme=scheme)
        show_signed_out(page)
        assert serious(page) == []
    with subtests.test("expired"):
        page = new_tab(user, seconds=-60, color_scheme=scheme)
        expect(page.get_by_role("heading", name="Sign in again")).to_be_visible()
        assert serious(page) == []
    page = new_tab(user, color_scheme=scheme)
    with subtests.test("empty"):
        expect(page.get_by_text("No conversations yet")).to_be_visible()
        assert serious(page) == []
    sample.fill(maria, server)
    expect(rows(page).filter(has_text="Packing list")).to_have_count(1)
    for state, (enter, leave) in STATES.items():
        with subtests.test(state):
            enter(page)
            assert serious(page) == []
            leave(page)


def test_axe_finds_nothing_serious_in_what_a_link_shows(
    new_tab: NewTab, maria: httpx.Client, server: Server
) -> None:
    conversation = sample.fill(maria, server)
    link = sample.create(maria, f"/conversations/{conversation['id']}/links")

    page = new_tab(fragment=f"shared={link['secret']}")

    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    assert serious(page) == []


def test_everything_can_be_reached_with_the_keyboard(
    tab: Page, maria: httpx.Client, server: Server, echo: None
) -> None:
    sample.fill(maria, server)
    expect(rows(tab)).not_to_have_count(0)
    open_row(tab, TITLE)

    tab.keyboard.press("Tab")
    reached: set[str] = set()
    for _ in range(150):
        name, has_ring, element = tab.evaluate(FOCUSED)
        assert has_ring, f"{element} has the focus, but does not show it"
        reached.add(name)
        tab.keyboard.press("Tab")
    for name in ("Search", "New conversation", "Settings", "Sign out", "Share", "Actions"):
        assert name in reached, name
    assert any(name.startswith("Actions for") for name in reached)

    tab.locator("a[data-id]").first.focus()
    tab.keyboard.press("ArrowDown")
    row = tab.evaluate("document.activeElement.dataset.id")
    tab.keyboard.press("Enter")
    expect(tab.locator(f"a[data-id='{row}']")).to_have_attribute("aria-current", "true")
    tab.get_by_role("textbox", name="Message", exact=True).focus()
    tab.keyboard.type("Written")
    tab.keyboard.press("Enter")
    expect(messages(tab).filter(has_text="Written").first).to_be_visible()


def test_keys_that_follow_each_other_within_a_frame(
    new_context: Callable[..., BrowserContext], new_tab: NewTab, user: str, maria: httpx.Client
) -> None:
    for number in (3, 2, 1):
        sample.create(maria, "/conversations", title=f"Row {number}", agent_id="analyst")
    context = new_context()
    context.add_init_script(LATE_FRAMES)
    tab = new_tab(user, context=context)
    rows(tab).first.focus()

    for key in ("ArrowDown", "ArrowDown", "Enter"):
        tab.keyboard.press(key)

    expect(tab.locator(".thread-title")).to_have_text("Row 3")


def test_page_of_a_right_to_left_language_is_mirrored(
    new_tab: NewTab, user: str, maria: httpx.Client, server: Server
) -> None:
    sample.fill(maria, server)
    page = new_tab(user, locale="ar")

    expect(rows(page).first).to_be_visible()

    sidebar = page.get_by_role("navigation", name="Conversations").bounding_box()
    assert sidebar is not None
    assert sidebar["x"] > 500, "the list is on the right"
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
