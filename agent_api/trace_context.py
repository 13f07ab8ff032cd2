"""The trace that a request belongs to, as the header `traceparent` names it (W3C Trace Context)."""

import re
from collections.abc import Iterable
from typing import NamedTuple

# https://www.w3.org/TR/trace-context/#traceparent-header: lower case only, neither id all zeros, no
# version ff. After the flags only versions later than 00 may have more.
_TRACEPARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)


class Trace(NamedTuple):
    """The ids of a trace and of one of its spans, in lower-case hexadecimal."""

    trace_id: str
    span_id: str


def read_trace(headers: Iterable[tuple[bytes, bytes]]) -> Trace | None:
    """Return the caller's trace and span; None without the header, with two, or an invalid one."""
    given = [value for name, value in headers if name == b"traceparent"]
    if len(given) != 1:
        return None
    match = _TRACEPARENT.fullmatch(given[0])
    if match is None or (match[1] == b"00" and match[4] is not None):
        return None
    return Trace(match[2].decode(), match[3].decode())
