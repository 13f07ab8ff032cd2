"""How much the page loads, and when it shows something."""

import httpx
from playwright.sync_api import Page, expect

from agent_api.pages.app import STATIC
from tests.browser.clock import start_clock
from tests.browser.conftest import Figure

LIMIT = 150_000
SCRIPTS = [path.relative_to(STATIC) for path in STATIC.rglob("*") if path.suffix in {".js", ".svg"}]
EVERYTHING = ["", "app/styles.css", "openapi.json", *(f"app/{path}" for path in SCRIPTS)]
LOADED_BY = """(paint) =>
  [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(({ responseEnd }) => responseEnd < paint)
    .map(({ name, encodedBodySize }) => [new URL(name).pathname, encodedBodySize])"""
NAMES = "() => performance.getEntriesByType('resource').map(({ name }) => name)"
FIRST_PAINT = (
    """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null"""
)


def test_all_files_of_the_page_are_small(anonymous: httpx.Client, figure: Figure) -> None:
    sizes = {}
    for name in EVERYTHING:
        with anonymous.stream("GET", f"/{name}", headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.status_code == 200, name
            sizes[name] = sum(map(len, answer.iter_raw()))

    figure("compressed bytes of all files and the contract", sum(sizes.values()))
    assert sum(sizes.values()) <= LIMIT, sizes


def test_first_paint_takes_less_than_a_second(tab: Page, figure: Figure) -> None:
    """The assertion is about the time that the page works: other processes do not change it."""
    tab.wait_for_function(FIRST_PAINT)
    loaded = dict(tab.evaluate(LOADED_BY, tab.evaluate(FIRST_PAINT)))
    assert "/app/main.js" in loaded
    assert min(loaded.values()) > 0, "from a cache"
    assert not [name for name in loaded if "settings" in name], "dialogs are loaded later"
    tab.context.new_cdp_session(tab).send("Network.setCacheDisabled", {"cacheDisabled": True})
    milliseconds, seconds = [], []
    for _ in range(5):
        worked = start_clock(tab)
        tab.reload(wait_until="commit")
        tab.wait_for_function(FIRST_PAINT)
        seconds.append(worked())
        milliseconds.append(tab.evaluate(FIRST_PAINT))

    figure("first paint, best of five, ms", round(min(milliseconds)))
    figure("work before it, ms", round(min(seconds) * 1000))
    figure("compressed bytes before it", sum(loaded.values()))
    assert min(seconds) < 1


def test_reload_transfers_only_what_has_changed(tab: Page) -> None:
    expect(tab.get_by_text("No conversations yet")).to_be_visible()  # everything is loaded
    statuses: list[int] = []
    first = tab.evaluate(NAMES)  # dialogs are loaded a few seconds later
    tab.on(
        "response",
        lambda response: statuses.append(response.status) if "/app/" in response.url else None,
    )

    tab.reload()

    expect(tab.get_by_text("No conversations yet")).to_be_visible()
    assert statuses
    transferred = tab.evaluate(
        """(first) => performance.getEntriesByType("resource")
          .filter(({ name }) => first.includes(name))
          .filter(({ name }) => name.includes("/app/") || name.endsWith("/openapi.json"))
          .map(({ transferSize }) => transferSize)""",
        first,
    )
    assert max(transferred) <= 1000, "only the headers of a 304"
