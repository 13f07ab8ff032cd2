"""Bounds what a body's numbers take in an answer: PostgreSQL writes them without exponents.

1e308, five bytes, comes back as 309 digits.
"""

import json
import re
from decimal import Decimal

from agent_api.http.problems import ValidationFailed, field_error

FREE = 1024 * 1024
"""Bytes that numbers with an exponent may take, written out, in a body of any size."""

FACTOR = 4
"""How many times a larger body's size they may take: enough for any that have one digit, as 1e9."""

_MOST_PER_BYTE = 62
"""How many bytes one of a number becomes at most: 309 from the five of 1e308."""

_AS_0E = bytes.maketrans(b"123456789E", b"000000000e")
# An exponent, up to three digits of it: a longer one is that of a zero, or of no double. What is
# within a text may look like one.
_EXPONENT = re.compile(rb"[0-9][eE][+-]?0*([1-9][0-9]{0,2})")


class _TooLong(Exception):
    """The numbers take more than they may."""


def check(raw: bytes) -> None:
    """Raise ValidationFailed where the numbers of a JSON text take too much, written out."""
    if len(raw) * _MOST_PER_BYTE <= FREE or b"0e" not in raw.translate(_AS_0E):
        return
    limit = max(FREE, FACTOR * len(raw))
    # Written out, a number takes as many bytes more as its exponent says, or fewer.
    if len(raw) + sum(map(int, _EXPONENT.findall(raw))) > limit and _take_more(limit, raw):
        detail = (
            f"must not have numbers with exponents that take over {limit} bytes without them, as "
            "answers write them: send fewer, or send them as strings"
        )
        raise ValidationFailed([field_error("body", "", detail)])


def _take_more(limit: int, raw: bytes) -> bool:
    """Tell whether the numbers with exponents take more; stops reading where they do."""
    left = limit

    def count(text: str) -> None:
        nonlocal left
        if "e" in text or "E" in text:
            left -= _length_written_out(text)
            if left < 0:
                raise _TooLong

    try:
        json.loads(raw, parse_float=count)
    except _TooLong:
        return True
    return False


def _length_written_out(text: str) -> int:
    return len(f"{Decimal(repr(float(text))):f}")
