"""Reads a JSON request body: its size, media type, encoding, and what PostgreSQL could not keep."""

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
from starlette.types import Receive, Scope

from agent_api.contract import exponents
from agent_api.contract.schema import MAX_ERRORS, to_pointer
from agent_api.http.problems import (
    BadRequest,
    PayloadTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
    ValidationFailed,
    field_error,
)
from agent_api.http.request_context import BODY_OVERDUE

MAX_DEPTH = 100
MAX_POINTER = 1024
"""Characters of a pointer in an error, which must not be longer than the body it is about."""

INTEGERS = range(-(2**63), 2**64)
"""The integers that survive a round trip exactly; orjson reads wider ones as floats."""

_JSON = re.compile(r"application/json\s*(;\s*charset\s*=\s*\"?utf-?8\"?\s*)?", re.IGNORECASE)
_DIGIT_AS_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_LONG, _LONG_NEGATIVE = b"0" * 20, b"-" + b"0" * 19
_SURROGATE = re.compile("[\ud800-\udfff]")


TOO_DEEP = f"must not nest deeper than {MAX_DEPTH} levels"
Trail = tuple["Trail", str | int] | None


class ClientDisconnected(Exception):
    """The client went away before its body was read: there is nobody to answer."""


async def read(scope: Scope, receive: Receive, content_length: str | None, limit: int) -> bytes:
    """Return the whole body of at most `limit` bytes, chunked or not.

    Raises PayloadTooLarge: before reading where Content-Length tells, else at the first byte over;
    RequestTimeout where HttpProtocol finds that it comes too slowly.
    """
    if content_length is not None and _says_more_than(limit, content_length):
        raise PayloadTooLarge(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        if BODY_OVERDUE in scope:
            raise RequestTimeout
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _says_more_than(limit: int, content_length: str) -> bool:
    """Tell whether the header announces too much; what is no number, the server has refused."""
    return content_length.isdigit() and (len(content_length) > 18 or int(content_length) > limit)


def check_media_type(content_type: str | None, content_encoding: str | None) -> None:
    """Raise UnsupportedMediaType for anything but plain application/json in UTF-8 (RFC 8259)."""
    if content_type is None or not _JSON.fullmatch(content_type.strip()):
        raise UnsupportedMediaType(
            "Send the body as JSON in UTF-8, with the header Content-Type: application/json."
        )
    if content_encoding not in (None, "identity"):
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")


def parse(raw: bytes) -> Any:
    """Return the value of a JSON text.

    Raises BadRequest for what is no JSON, and ValidationFailed for what would not come back as it
    went in: NUL and lone surrogates, numbers beyond 64 bits, nesting over MAX_DEPTH levels; or at
    a size far beyond that of the body.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        _refuse_if_readable(raw)
        raise BadRequest(f"The body is not valid JSON: {error}.") from error
    if _is_suspect(raw) or (raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _is_deep(value)):
        _refuse_if_readable(raw)
    exponents.check(raw)
    return value


def _is_suspect(raw: bytes) -> bool:
    """Tell whether a NUL or a wide integer may be in it, of which orjson says nothing.

    A regular expression took six to thirteen times as long.
    """
    digits = raw.translate(_DIGIT_AS_ZERO)
    return b"\\u0000" in raw or _LONG in digits or _LONG_NEGATIVE in digits


def _is_deep(root: Any) -> bool:
    """Tell whether containers nest over MAX_DEPTH levels; cheap, as it looks at nothing else."""
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def _refuse_if_readable(raw: bytes) -> None:
    """Raise ValidationFailed where a lenient parser reads `raw` and finds a rule broken."""
    try:
        value = json.loads(raw.decode(), parse_int=_to_int, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValidationFailed([_error(None, TOO_DEEP)]) from None
    except ValueError:
        return
    errors = []
    for error in _broken_rules(value):
        errors.append(error)
        if len(errors) == MAX_ERRORS:
            break
    if errors:
        raise ValidationFailed(errors)


def _to_int(digits: str) -> int:
    """Read an integer; one of thousands of digits, which int() refuses, is as good as 2**64."""
    return int(digits) if len(digits) < 400 else 2**64


def is_kept(number: int) -> bool:
    """Tell whether an integer comes back as it went in.

    Beyond 64 bits it is read as a double, and so it must be just the digits that stand for that
    double in an answer: what the server wrote, it takes back.
    """
    try:
        return number in INTEGERS or Decimal(repr(float(number))) == number
    except OverflowError:  # beyond any double
        return False


def _refuse_constant(name: str) -> None:
    """NaN and Infinity are Python's JSON, and nobody else's."""
    raise ValueError(name)


def _broken_rules(root: Any) -> Iterator[dict[str, str]]:
    """Yield what is wrong; a path is a chain of pairs, which costs nothing until it is needed."""
    stack: list[tuple[Any, Trail, int]] = [(root, None, 0)]
    while stack:
        value, trail, depth = stack.pop()
        if isinstance(value, str):
            yield from _broken_text_rules(value, trail)
        elif isinstance(value, int) and not is_kept(value):
            yield _error(trail, "must fit 64 bits")
        elif isinstance(value, float) and math.isinf(value):
            yield _error(trail, "must fit a double")
        elif isinstance(value, dict | list) and depth == MAX_DEPTH:
            yield _error(trail, TOO_DEEP)
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from _broken_text_rules(key, trail)
                stack.append((item, (trail, key), depth + 1))
        elif isinstance(value, list):
            stack.extend((item, (trail, index), depth + 1) for index, item in enumerate(value))


def _broken_text_rules(text: str, trail: Trail) -> Iterator[dict[str, str]]:
    if "\x00" in text:
        yield _error(trail, "must not contain the NUL character")
    if _SURROGATE.search(text):
        yield _error(trail, "must not contain a lone surrogate")


def _error(trail: Trail, detail: str) -> dict[str, str]:
    """Point at the end of `trail`, or where that takes too many characters, at what is around it.

    In UTF-8, which the keys on the way may not be.
    """
    path: list[str | int] = []
    while trail is not None:
        trail, step = trail
        path.insert(0, step)
    while len(pointer := to_pointer(path)) > MAX_POINTER:
        path.pop()
    return field_error("body", _SURROGATE.sub("\ufffd", pointer), detail)
