"""What no head of a request may say: more than is read, or what two servers read in two ways."""

import re
from collections.abc import Sequence

from agent_api.http.problems import BadRequest, HeadersTooLarge, Problem, TokenTooLong
from agent_api.middleware.security_headers import Header

MAX_BYTES = 64 * 1024
"""Of request line and headers; httptools has no limit of its own and slows down with their size."""

_TOKEN = b"authorization"

_AROUND = len(": \r\n")
_HOST = re.compile(rb"[^\x00-\x20/?#@,\\\x7f]*")
FRAMING = frozenset({b"content-length", b"transfer-encoding"})
"""One of these says that a body follows (RFC 9112 section 6)."""


def fault(
    version: str, url: bytes, headers: Sequence[Header], *, is_upgrade: bool
) -> Problem | None:
    """Return why the request is refused; names in `headers` are in lower case."""
    size = len(url) + sum(len(name) + len(value) + _AROUND for name, value in headers)
    if size > MAX_BYTES:
        return too_large(headers, size)
    if version not in ("1.0", "1.1"):
        return BadRequest("The server speaks HTTP/1.1.")
    hosts = [value for name, value in headers if name == b"host"]
    if (len(hosts) != 1 and (hosts or version != "1.0")) or not all(map(_HOST.fullmatch, hosts)):
        return BadRequest("Send one header Host, the server's name and port.")  # RFC 9112, 3.2
    names = {name for name, _ in headers}
    if not names & FRAMING:
        return None
    # After a request that asks for another protocol, uvicorn drops the body and reads it as the
    # next request. There is no other protocol here (RFC 9110 section 7.8 lets us ignore it).
    if is_upgrade:
        return BadRequest("A request with a body cannot ask for another protocol.")
    if b"transfer-encoding" in names:
        codings = [value for name, value in headers if name == b"transfer-encoding"]
        # httptools reads "gzip, chunked" as chunked, and the body would still be packed.
        if len(codings) != 1 or codings[0].strip().lower() != b"chunked" or version == "1.0":
            return BadRequest("The only transfer coding is chunked, from HTTP/1.1 on.")
    for singular in (b"content-type", b"content-encoding"):
        if len({value for name, value in headers if name == singular}) > 1:
            return BadRequest(f"The header {singular.decode()} is there twice: send one.")
    return None


class LastLine:
    """The line of an incomplete head that has no end yet."""

    def __init__(self) -> None:
        self.size = 0
        self._start = b""

    def add(self, data: bytes) -> None:
        """Take in what has come."""
        _, is_new, last = data.rpartition(b"\n")
        if is_new:
            self.size, self._start = 0, b""
        self.size += len(last)
        self._start = (self._start + last)[: len(_TOKEN) + 1]

    def is_token(self) -> bool:
        """Tell whether it is an Authorization."""
        return self._start.lower() == _TOKEN + b":"


def too_large(headers: Sequence[Header], size: int, line: LastLine | None = None) -> Problem:
    """Return why a head of `size` is refused: where that is for its token, the token is wrong.

    `line` is not among `headers`.
    """
    tokens = sum(len(value) for name, value in headers if name == _TOKEN)
    if line is not None and line.is_token():
        tokens += line.size
    return TokenTooLong() if size - tokens <= MAX_BYTES else HeadersTooLarge(MAX_BYTES)


def trailer_fault(name: bytes) -> Problem | None:
    """Return why a request with a trailer of this name is refused (RFC 9110 section 6.5.1).

    The parser takes these for what they say in a head, and reads what follows in another way.
    """
    if name.lower() not in FRAMING | {b"connection", b"upgrade"}:
        return None
    return BadRequest("A trailer cannot say where the message ends, or what follows it.")
