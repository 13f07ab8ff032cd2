"""Checks of a request's head: its size, and everything that two servers could read differently."""

import re
from collections.abc import Sequence

from agent_api.http.problems import BadRequest, HeadersTooLarge, Problem, TokenTooLong
from agent_api.middleware.response_headers import Header

MAX_BYTES = 64 * 1024
"""Limit of request line and headers. httptools has none, and slows down with their size."""
FRAMING = frozenset({b"content-length", b"transfer-encoding"})
"""A request with one of these headers has a body (RFC 9112 section 6)."""

_TOKEN = b"authorization"
_SEPARATORS = len(": \r\n")
_HOST = re.compile(rb"[^\x00-\x20/?#@,\\\x7f]*")


def head_problem(
    version: str, url: bytes, headers: Sequence[Header], *, is_connect: bool
) -> Problem | None:
    """Return why to refuse the request, if at all; names in `headers` are in lower case."""
    size = len(url) + sum(len(name) + len(value) + _SEPARATORS for name, value in headers)
    if size > MAX_BYTES:
        return too_large(headers, size)
    if version not in ("1.0", "1.1"):
        return BadRequest("The server only supports HTTP/1.1.")
    if is_connect:  # what follows would belong to a tunnel (RFC 9110 section 9.3.6)
        return BadRequest("This server is not a proxy. Do not send CONNECT.")
    hosts = [value for name, value in headers if name == b"host"]
    if (len(hosts) != 1 and (hosts or version != "1.0")) or not all(map(_HOST.fullmatch, hosts)):
        return BadRequest(
            "Send exactly one Host header with the server's name and port."
        )  # RFC 9112, 3.2
    names = {name for name, _ in headers}
    if not names & FRAMING:
        return None
    if b"transfer-encoding" in names:
        codings = [value for name, value in headers if name == b"transfer-encoding"]
        # httptools reads "gzip, chunked" as chunked, and the body would stay compressed.
        if len(codings) != 1 or codings[0].strip().lower() != b"chunked" or version == "1.0":
            return BadRequest("The only supported Transfer-Encoding is chunked, in HTTP/1.1.")
    for singular in (b"content-type", b"content-encoding"):
        if len({value for name, value in headers if name == singular}) > 1:
            return BadRequest(f"Send the header {singular.decode()} only once.")
    return None


def without_upgrade(method: bytes, url: bytes, version: str, headers: Sequence[Header]) -> bytes:
    """Return a parsed head as it would be without its Upgrade headers.

    No part can contain a line end, because the parser has split the head there.
    """
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    lines += [b"%b: %b" % header for header in headers if header[0] != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])


def trailer_problem(name: bytes) -> Problem | None:
    """Return why to refuse a request with a trailer of this name (RFC 9110 section 6.5.1).

    httptools treats these trailers as headers and would misread what follows.
    """
    if name.lower() not in FRAMING | {b"connection", b"upgrade"}:
        return None
    return BadRequest("Trailers must not contain framing or connection headers.")


class LastLine:
    """The size and the beginning of the last, unfinished line of a head."""

    def __init__(self) -> None:
        self.size = 0
        self._start = b""

    def add(self, data: bytes) -> None:
        """Add the next bytes of the head."""
        _, newline, last = data.rpartition(b"\n")
        if newline:
            self.size, self._start = 0, b""
        self.size += len(last)
        self._start = (self._start + last)[: len(_TOKEN) + 1]

    def is_token(self) -> bool:
        """Tell whether the line is an Authorization header."""
        return self._start.lower() == _TOKEN + b":"


def too_large(headers: Sequence[Header], size: int, line: LastLine | None = None) -> Problem:
    """Return TokenTooLong if a head of `size` bytes is too large only because of its token.

    Otherwise return HeadersTooLarge. `line` is the last line, if it is not in `headers` yet.
    """
    tokens = sum(len(value) for name, value in headers if name == _TOKEN)
    if line is not None and line.is_token():
        tokens += line.size
    return (TokenTooLong if size - tokens <= MAX_BYTES else HeadersTooLarge)(MAX_BYTES)
