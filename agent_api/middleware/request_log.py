"""Gives each request an id, and logs one line when its response is complete."""

import hashlib
import logging
import re
import time
from datetime import UTC, datetime
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Any, NamedTuple

import orjson
import uuid_utils
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_api.http.request_context import (
    OPERATION_ID,
    ROUTE,
    TRACE,
    USER_ID,
    read_trace,
    request_ids,
)
from agent_api.observability.output import OUTPUT

access = logging.getLogger("agent_api.access")
PROBES = frozenset({"get_health", "get_readiness"})
"""Operations that a deployment calls every few seconds."""
_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._~+/=:-]{1,128}")


@lru_cache(maxsize=4096)
def _user_hash(user_id: str) -> str:
    """Return the hash that identifies a user in the log without showing the id."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:12]


class Request(NamedTuple):
    """What the log line of a request is made of, after the response."""

    time: float
    method: str
    route: str | None
    operation: str | None
    status: int
    seconds: float
    user_id: str | None
    ids: dict[str, str]
    more: dict[str, Any]

    def fields(self) -> dict[str, Any]:
        """Return the fields of the line, without the path, which may contain private data."""
        user = {} if self.user_id is None else {"user": _user_hash(self.user_id)}
        return {
            "method": self.method,
            "route": self.route,
            "operation": self.operation,
            "status": self.status,
            "duration_ms": round(self.seconds * 1000, 2),
            **user,
            **self.more,
            **self.ids,
        }


def _text_line(request: Request) -> bytes:
    """Return a line like those of TextFormatter."""
    local_time = time.strftime("%H:%M:%S", time.localtime(request.time))
    words = (f"{name}={value}" for name, value in request.fields().items())
    return f"{local_time} INFO    request {' '.join(words)}\n".encode()


def _json_line(request: Request) -> bytes:
    """Return a line like those of JsonFormatter, in a tenth of its time."""
    line = {"level": "INFO", "logger": access.name, "message": "request", **request.fields()}
    line["timestamp"] = datetime.fromtimestamp(request.time, UTC)
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class RequestLogMiddleware:
    """Sends `X-Request-Id`, and logs one line per request.

    Successful health checks are logged only if `probes` is true. If `client_address` is true, each
    line has the client's address, which uvicorn takes from X-Forwarded-For of a trusted proxy.
    """

    def __init__(
        self, app: ASGIApp, *, log_format: str, probes: bool, client_address: bool
    ) -> None:
        self.app = app
        self._line = _text_line if log_format == "text" else _json_line
        self._ignored = frozenset() if probes else PROBES
        self._client_address = client_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. A client's id of 1 to 128 plain characters is kept."""
        started = time.perf_counter()
        request_id = _client_id(scope) or str(uuid_utils.uuid4()).encode()
        ids = {"request_id": request_id.decode()}
        if (trace := scope.get(TRACE) or read_trace(scope["headers"])) is not None:
            ids |= trace._asdict()
        token = request_ids.set(ids)
        status = 499  # as in nginx: the client disconnected before the response

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            is_ignored = status < 400 and scope.get(OPERATION_ID) in self._ignored
            if access.isEnabledFor(logging.INFO) and not is_ignored:
                request = Request(
                    time.time(),
                    scope["method"],
                    scope.get(ROUTE),
                    scope.get(OPERATION_ID),
                    status,
                    time.perf_counter() - started,
                    scope.get(USER_ID),
                    ids,
                    {"client": _client_address(scope)} if self._client_address else {},
                )
                OUTPUT.append(partial(self._line, request))
            request_ids.reset(token)


def _client_id(scope: Scope) -> bytes | None:
    given: list[bytes] = [value for name, value in scope["headers"] if name == b"x-request-id"]
    return given[0] if len(given) == 1 and _ACCEPTED_ID.fullmatch(given[0]) else None


def _client_address(scope: Scope) -> str | None:
    client = scope.get("client")
    return None if client is None else _normalise_address(client[0])


@lru_cache(maxsize=4096)
def _normalise_address(text: str) -> str | None:
    """Return the address, IPv4 without ::ffff:, or None if a proxy sent something else.

    Omit the zone of an IPv6 address, because it can be any text.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
