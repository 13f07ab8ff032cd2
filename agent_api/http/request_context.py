"""The request context: keys of the ASGI scope, and the trace of the caller."""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import NamedTuple

from starlette.types import Receive

OPERATION_ID = "agent_api.operation_id"
ROUTE = "agent_api.route"
"""The path of the routed operation, with the contract's placeholders."""
STATUSES = "agent_api.statuses"
"""The statuses that the contract lists for the routed operation."""
IS_STREAM = "agent_api.is_stream"
"""Set when the response is a stream, which may take hours."""
USER_ID = "agent_api.user_id"
RATE_LIMIT = "agent_api.rate_limit"
"""The response headers that say how many requests the user has left."""
BODY_OVERDUE = "agent_api.body_overdue"
"""Set when the request body arrives too slowly: stop reading it."""
TRACE = "agent_api.trace"
"""The `Trace` of the span written for this request, if tracing is on."""
ON_STOP = "agent_api.on_stop"
"""In the lifespan state: called when the process stops listening."""
ON_FORCED_EXIT = "agent_api.on_forced_exit"
"""In the lifespan state: called if the process exits without a lifespan shutdown."""

receive: ContextVar[Receive] = ContextVar("receive")
"""The ASGI function of the current request, whose body has been read."""

request_ids: ContextVar[dict[str, str] | None] = ContextVar("request_ids", default=None)
"""The ids of the current request and its trace, which every log record carries."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that metrics and traces show. Others are grouped."""

# https://www.w3.org/TR/trace-context/#traceparent-header: lower case only, neither id all zeros, no
# version ff. After the flags only versions later than 00 may have more.
_TRACEPARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)


class ClientDisconnected(Exception):
    """The client has disconnected, and nobody would read a response."""


async def disconnected(receive: Receive) -> None:
    """Wait until the client has disconnected. Its request must be complete."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Trace(NamedTuple):
    """The ids of a trace and of one of its spans, in lower-case hexadecimal."""

    trace_id: str
    span_id: str


def read_trace(headers: Iterable[tuple[bytes, bytes]]) -> Trace | None:
    """Return the caller's trace and span, or None without one valid header."""
    given = [value for name, value in headers if name == b"traceparent"]
    if len(given) != 1:
        return None
    match = _TRACEPARENT.fullmatch(given[0])
    if match is None or (match[1] == b"00" and match[4] is not None):
        return None
    return Trace(match[2].decode(), match[3].decode())
