"""Measures the CPU of a page, which other processes on a busy machine do not change."""

from collections.abc import Callable

from playwright.sync_api import Page


def start_clock(page: Page) -> Callable[[], float]:
    """Return a function that returns the seconds that the page's main thread has worked."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    started = used()
    return lambda: used() - started
