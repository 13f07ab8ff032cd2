"""Limits the size that numbers with exponents have in a response.

PostgreSQL writes numbers without exponents: 1e308 has five bytes in a body, but 309 in a response.
"""

import json
import re
from decimal import Decimal

from agent_api.http.problems import ValidationFailed, field_error

MIN_LIMIT = 1024 * 1024
"""Bytes that numbers with exponents may always take in a response."""

MAX_GROWTH = 4
"""Bytes per byte of a larger body. Short numbers such as 1e9 stay below it."""

_GROWTH_OF_1E308 = 62
"""The most bytes that one byte of a number can become."""

_AS_0E = bytes.maketrans(b"123456789E", b"000000000e")
# Exponents of more than three digits belong to zeros. The pattern may also match within strings.
_EXPONENT = re.compile(rb"[0-9][eE][+-]?0*([1-9][0-9]{0,2})")


def check(raw: bytes) -> None:
    """Raise ValidationFailed if the numbers would take too many bytes."""
    if len(raw) * _GROWTH_OF_1E308 <= MIN_LIMIT or b"0e" not in raw.translate(_AS_0E):
        return
    limit = max(MIN_LIMIT, MAX_GROWTH * len(raw))
    # A number grows by at most as many bytes as its exponent says, so most bodies need no parsing.
    if len(raw) + sum(map(int, _EXPONENT.findall(raw))) > limit:
        _check_numbers(raw, limit)


def _check_numbers(raw: bytes, limit: int) -> None:
    left = limit

    def subtract_length(number: str) -> None:
        nonlocal left
        if "e" in number or "E" in number:
            left -= len(f"{Decimal(repr(float(number))):f}")
            if left < 0:
                detail = (
                    f"has numbers whose exponents expand to more than {limit} bytes: "
                    "send fewer, or send them as strings"
                )
                raise ValidationFailed([field_error("body", "", detail)])

    json.loads(raw, parse_float=subtract_length)
