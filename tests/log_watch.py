"""Searches the logs of all servers under test for tokens and for content of requests.

`_sent` remembers a piece of each token that is signed or sent, and of each text in a body. When a
server has stopped, its log is searched for these pieces and for everything that looks like a token.
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
    | {"routing_decision", "tool_calls", "filename", "file_url", "parsed_content"}
    | {"comment", "tags"}
)
"""Properties with content of users. The others are ids and names, which may be logged."""
MAX_BODY = 256 * 1024
TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.")
PLAIN = re.compile(r"[A-Za-z0-9 .,:_-]{24,}")
"""Characters that no log format escapes."""
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Ids may be logged, even if they are also in content."""

_sent: set[str] = set()
_watching: list[logging.Handler] = []


def token(value: str) -> None:
    """Remember the beginnings of a token's claims and signature."""
    for part in value.split(".")[1:]:
        _remember(part)


def text(value: object) -> None:
    """Remember each string in a JSON value, including property names."""
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
    """Remember the token and content of a request. This is an event hook of httpx."""
    token(sent.headers.get("authorization", ""))
    body = getattr(sent, "_content", b"")  # absent if the body is streamed
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
    # Texts of a few repeated letters are padding and could be in any log.
    if len(piece) >= LENGTH and len(set(piece[:LENGTH])) > 5:
        _sent.add(piece[:LENGTH])


def leaks(log: str) -> list[str]:
    """Return the lines of `log` that contain a token or content of a request."""
    return [line for line in log.splitlines() if TOKEN.search(line) or _holds_piece(line)]


def _holds_piece(line: str) -> bool:
    starts = range(len(line) - LENGTH + 1)
    return any(line[start : start + LENGTH] in _sent for start in starts)


def check(log: str) -> None:
    """Fail if `log` contains a token or content of a request."""
    if found := leaks(log):
        raise AssertionError("\n".join(["a log holds a token or what a request said:", *found[:5]]))


@contextmanager
def watching_this_process() -> Iterator[None]:
    """Check what this process logs during the block, in the JSON format."""
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
