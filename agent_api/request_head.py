"""What no head of a request may say: more than is read, or what two servers read in two ways."""

from collections.abc import Sequence

from agent_api import auth
from agent_api.problems import BadRequest, HeadersTooLarge, Problem
from agent_api.security_headers import Header

MAX_BYTES = 64 * 1024
"""Of request line and headers; httptools has no limit of its own and slows down with their size."""

TOKEN = b"authorization"

FRAMING = frozenset({b"content-length", b"transfer-encoding"})
"""One of these says that a body follows (RFC 9112 section 6)."""


def fault(
    version: str, url: bytes, headers: Sequence[Header], *, is_upgrade: bool
) -> Problem | None:
    """Return why the request is refused; names in `headers` are in lower case."""
    size = len(url) + sum(len(name) + len(value) for name, value in headers)
    if size > MAX_BYTES:
        tokens = sum(len(value) for name, value in headers if name == TOKEN)
        return too_large(is_token=size - tokens <= MAX_BYTES)
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


def too_large(*, is_token: bool) -> Problem:
    """Return why a head over the limit is refused: where its token alone is, the token is wrong."""
    return auth.too_long() if is_token else HeadersTooLarge(MAX_BYTES)
