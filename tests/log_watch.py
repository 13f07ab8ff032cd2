"""Watches the logs of everything that the tests start, for tokens and for what requests said.

Each token that is signed or sent, and each text in a body that is sent, leaves a piece in `_sent`.
When a server has stopped, its log is searched for all the pieces, and for whatever looks like a
token. So each log of a run is searched, in the process of pytest-xdist that knows what was sent.
"""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from agent_api.observability.log import json_formatter

LENGTH = 24
FREE_TEXT = frozenset(
    {"title", "content", "metadata", "input", "output", "error", "attachments"}
    | {"routing_decision", "tool_calls"}
)
"""The properties in which users write; the others are ids and names, which may be logged."""
MAX_BODY = 256 * 1024
TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.")
PLAIN = re.compile(r"[A-Za-z0-9 .,:_-]{24,}")
"""What no way of writing a log escapes."""
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An id may be logged, wherever else it stands."""

_sent: set[str] = set()
_watching: list[logging.Handler] = []


def token(value: str) -> None:
    """Remember a token: the beginnings of its claims and of its signature."""
    for part in value.split(".")[1:]:
        _remember(part)


def text(value: object) -> None:
    """Remember each string in a JSON value, property names included."""
    match value:
        case str():
            found = PLAIN.search(value)
            if found and not UUID.match(found[0]):
                _remember(found[0])
        case dict():
            for name, member in value.items():
                text(name)
                text(member)
        case list():
            for member in value:
                text(member)


def request(sent: httpx.Request) -> None:
    """Remember what a request must not leave in a log: an event hook of httpx."""
    token(sent.headers.get("authorization", ""))
    body = getattr(sent, "_content", b"")  # what is streamed is not there, and stays unread
    if not 0 < len(body) < MAX_BODY:
        return
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        for name in FREE_TEXT & document.keys():
            text(document[name])


def _remember(piece: str) -> None:
    # Fewer letters than that are padding, which may stand anywhere.
    if len(piece) >= LENGTH and len(set(piece[:LENGTH])) > 5:
        _sent.add(piece[:LENGTH])


def leaks(log: str) -> list[str]:
    """Return the lines of `log` that hold a token, or text that a request sent."""
    return [line for line in log.splitlines() if TOKEN.search(line) or _holds_piece(line)]


def _holds_piece(line: str) -> bool:
    starts = range(len(line) - LENGTH + 1)
    return any(line[start : start + LENGTH] in _sent for start in starts)


def check(log: str) -> None:
    """Fail where `log` holds what it must not."""
    if found := leaks(log):
        raise AssertionError("\n".join(["a log holds a token or what a request said:", *found[:5]]))


@contextmanager
def watching_this_process() -> Iterator[None]:
    """Check what this process itself logs until the block ends, as its log would say it."""
    lines: list[str] = []
    formatter = json_formatter()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            innermost = _watching[-1] is self
            if innermost and record.name.startswith(("agent_api", "db", "uvicorn")):
                lines.append(formatter.format(record))

    collector = Collector()
    logging.getLogger().addHandler(collector)
    _watching.append(collector)
    try:
        yield
    finally:
        _watching.remove(collector)
        logging.getLogger().removeHandler(collector)
    check("\n".join(lines))
