"""Parses JSON, and rejects values that the database cannot store unchanged."""

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson

from agent_api.contract.schema import MAX_ERRORS, to_pointer
from agent_api.http.problems import BadRequest, ValidationFailed, field_error

MAX_DEPTH = 100
MAX_POINTER_LENGTH = 1024
"""Characters of a pointer, so that an error response is not larger than the body."""
INTEGERS = range(-(2**63), 2**64)
"""The integers that orjson reads exactly. It reads others as floats."""

_DIGIT_AS_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_LONG, _LONG_NEGATIVE = b"0" * 20, b"-" + b"0" * 19
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOO_DEEP = f"must not nest deeper than {MAX_DEPTH} levels"

Path = tuple["Path", str | int] | None
"""The path of the container of a value, and its key or index; None for the root."""


def parse(raw: bytes) -> Any:
    """Return the value of a JSON text.

    Raises BadRequest for invalid JSON. Raises ValidationFailed for NUL characters, lone surrogates,
    numbers beyond 64 bits, and more than MAX_DEPTH levels.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        _raise_violations(raw)
        raise BadRequest(f"The body is not valid JSON: {error}.") from error
    if _is_suspect(raw) or (raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _is_deep(value)):
        _raise_violations(raw)
    return value


def _is_suspect(raw: bytes) -> bool:
    """Tell whether the text may contain NUL or a large integer, which orjson accepts.

    A regular expression would take six to thirteen times as long.
    """
    digits = raw.translate(_DIGIT_AS_ZERO)
    return b"\\u0000" in raw or _LONG in digits or _LONG_NEGATIVE in digits


def _is_deep(root: Any) -> bool:
    """Tell whether containers nest deeper than MAX_DEPTH levels."""
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


def _raise_violations(raw: bytes) -> None:
    """Raise ValidationFailed if Python can parse `raw` and finds violations."""
    try:
        value = json.loads(raw.decode(), parse_int=_to_int, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValidationFailed([_error(None, _TOO_DEEP)]) from None
    except ValueError:
        return
    if errors := list(islice(_violations(value), MAX_ERRORS)):
        raise ValidationFailed(errors)


def _to_int(digits: str) -> int:
    """Return the integer, or 2**64 for one with so many digits that int() refuses it."""
    return int(digits) if len(digits) < 400 else 2**64


def _refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which are valid only in Python's JSON."""
    raise ValueError(name)


def _is_preserved(number: int) -> bool:
    """Tell whether a response would show the same integer.

    Integers beyond 64 bits become doubles. They are preserved if they have the digits that a
    response shows for that double, so clients can send back what they received.
    """
    try:
        return number in INTEGERS or Decimal(repr(float(number))) == number
    except OverflowError:  # larger than any double
        return False


def _violations(root: Any) -> Iterator[dict[str, str]]:
    stack: list[tuple[Any, Path, int]] = [(root, None, 0)]
    while stack:
        value, path, depth = stack.pop()
        if isinstance(value, str):
            yield from _text_violations(value, path)
        elif isinstance(value, int) and not _is_preserved(value):
            yield _error(path, "must fit 64 bits")
        elif isinstance(value, float) and math.isinf(value):
            yield _error(path, "must fit a double")
        elif isinstance(value, dict | list) and depth == MAX_DEPTH:
            yield _error(path, _TOO_DEEP)
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from _text_violations(key, path)
                stack.append((item, (path, key), depth + 1))
        elif isinstance(value, list):
            stack.extend((item, (path, index), depth + 1) for index, item in enumerate(value))


def _text_violations(text: str, path: Path) -> Iterator[dict[str, str]]:
    if "\x00" in text:
        yield _error(path, "must not contain the NUL character")
    if _SURROGATE.search(text):
        yield _error(path, "must not contain a lone surrogate")


def _error(path: Path, detail: str) -> dict[str, str]:
    """Return an error at `path`, or at a container if the pointer is too long."""
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.insert(0, step)
    while len(pointer := to_pointer(steps)) > MAX_POINTER_LENGTH:
        steps.pop()
    # A key may contain lone surrogates, which UTF-8 cannot encode.
    return field_error("body", _SURROGATE.sub("\ufffd", pointer), detail)
