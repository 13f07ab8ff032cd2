"""What the tests of the web page share: a browser, and tabs that are signed in.

Run them with `make test-browser`. Each test has its own users, and fails if anything went wrong in
one of its tabs that it did not expect: see console.py.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import chromium
from tests.browser.console import Console
from tests.live.echoing import echoing
from tests.servers import Server, free_port, sign, start_server

NewTab = Callable[..., Page]
Figure = Callable[[str, object], None]
MILLISECONDS = 30_000
"""How long a test waits for what it expects. A busy machine is slow, and must not fail a test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("browser")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    for report in reports:
        for name, value in report.user_properties if report.when == "call" else ():
            terminalreporter.write_line(f"{report.nodeid}: {name}: {value}")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Return a function that records a figure, which is shown after the tests."""
    return lambda name, value: request.node.user_properties.append((name, value))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of this worker's tests."""
    expect.set_options(timeout=MILLISECONDS)
    with chromium.started() as running:
        yield running


@pytest.fixture
def console() -> Iterator[Console]:
    """What went wrong in the test's tabs. `console.expect("422")` allows for it."""
    found = Console()
    yield found
    assert not found.unexpected, "\n".join(found.unexpected)


@pytest.fixture
def new_context(browser: Browser, console: Console) -> Iterator[Callable[..., BrowserContext]]:
    """Return a function that returns a new browser profile, with Playwright's options for it."""
    with ExitStack() as closing:

        def make(**options: Any) -> BrowserContext:
            context = browser.new_context(**{"locale": "en-GB", "timezone_id": "UTC"} | options)
            context.set_default_timeout(MILLISECONDS)
            closing.callback(context.close)
            console.watch(context)
            return context

        yield make


@pytest.fixture
def new_tab(server: Server, new_context: Callable[..., BrowserContext]) -> NewTab:
    """Return a function that opens the page in a new tab: `new_tab("alice")`.

    Without a user it is signed out. `conversation` is opened. `context` puts it into the same
    profile as another tab, `url` opens another server; the other options are those of a profile,
    such as `color_scheme`.
    """

    def make(
        user: str | None = None,
        *,
        context: BrowserContext | None = None,
        url: str | None = None,
        fragment: str | None = None,
        conversation: str | None = None,
        seconds: int = 3600,
        **options: Any,
    ) -> Page:
        page = (context or new_context(**options)).new_page()
        if user is not None:
            fragment = f"token={sign(user, seconds=seconds)}"
        page.goto(f"{url or server.url}/{f'#{fragment}' if fragment else ''}")
        if conversation is not None:
            page.evaluate("(id) => { location.hash = `#/${id}` }", conversation)
        return page

    return make


@pytest.fixture
def user() -> str:
    """A user who has no rows yet."""
    return f"maria-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def maria(server: Server, user: str) -> Iterator[httpx.Client]:
    """A client of the same user, to prepare and to look at what the page shows."""
    with server.client(user) as client:
        yield client


@pytest.fixture
def tab(new_tab: NewTab, user: str) -> Page:
    """The page, signed in as `user`."""
    return new_tab(user)


@pytest.fixture(scope="session")
def echo(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A worker that answers the runs of the agent `echo`."""
    with echoing(server.url, tmp_path_factory.mktemp("worker"), "echo"):
        yield


@dataclass
class Restartable:
    """A server of one test, which can be stopped and started on the same address."""

    start_once: Callable[[], Any]
    url: str
    _running: ExitStack = field(default_factory=ExitStack)

    def start(self) -> Server:
        """Start it, also after `stop`."""
        running: Server = self._running.enter_context(self.start_once())
        return running

    def stop(self) -> None:
        """Stop it as an operator does, and wait until it has ended."""
        self._running.close()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop it for the block."""
        self.stop()
        yield
        self.start()


@pytest.fixture
def restartable(database_url: str, tmp_path: Path) -> Iterator[Restartable]:
    """A running server that the test may restart."""
    port = free_port()

    def start_once() -> Any:
        return start_server(database_url, tmp_path, port=str(port))

    server = Restartable(start_once, f"http://127.0.0.1:{port}")
    server.start()
    yield server
    server.stop()
