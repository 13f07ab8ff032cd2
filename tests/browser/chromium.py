"""Finds and starts the browser of the tests."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = (
    *("chromium", "chromium-browser", "chromium-headless-shell"),
    *("google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
ELSEWHERE = "chat.example"
"""A name of this machine that looks like another machine's."""
FLAGS = [
    "--no-sandbox",  # with its sandbox, Chromium refuses to run as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # containers have a small /dev/shm
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
]


def find() -> str:
    """Return the path of a Chromium: the one that TEST_BROWSER names, or an installed one."""
    given = os.environ.get("TEST_BROWSER")
    for name in (given,) if given else NAMES:
        if found := shutil.which(name):
            return found
    if given:
        raise FileNotFoundError(f"TEST_BROWSER: {given} is not a program")
    raise FileNotFoundError(
        "Install Chromium (apt install chromium), or set TEST_BROWSER to its path"
    )


@contextmanager
def started() -> Iterator[Browser]:
    """Start the browser, and stop it after the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
