"""Gives each request an id, and logs one line when its response is complete."""

import hashlib
import logging
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

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

access = logging.getLogger("agent_api.access")
PROBES = frozenset({"get_health", "get_readiness"})
"""Operations that a deployment calls every few seconds."""
_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._~+/=:-]{1,128}")


@lru_cache(maxsize=4096)
def _user_hash(user_id: str) -> str:
    """Return the hash that identifies a user in the log without showing the id."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:12]


LogWriter = Callable[[dict[str, Any], dict[str, str]], None]
"""Writes the log line of a request, given its fields and its ids."""


def access_writer(log_format: str) -> LogWriter:
    """Return a function that writes log lines to the current standard error."""
    return _write_text if log_format == "text" else _json_writer()


def _write_text(fields: dict[str, Any], _ids: dict[str, str]) -> None:
    access.info("request", extra=fields)  # RequestIdFilter adds the ids


def _json_writer() -> LogWriter:
    """Return a writer that bypasses `logging`, which takes ten times as long.

    It shares the buffer of the logging handler, so that lines do not mix.
    """
    output = sys.stderr.buffer
    head = {"level": "INFO", "logger": access.name, "message": "request"}

    def write(fields: dict[str, Any], ids: dict[str, str]) -> None:
        line = orjson.dumps({**head, **fields, **ids, "timestamp": datetime.now(UTC)})
        with suppress(OSError):  # a full disk must not fail requests, as in logging
            output.write(line + b"\n")
            output.flush()

    return write


class RequestLogMiddleware:
    """Sends `X-Request-Id`, and logs one line per request.

    Successful health checks are logged only if `probes` is true. If `client_address` is true, each
    line has the client's address, which uvicorn takes from X-Forwarded-For of a trusted proxy.
    """

    def __init__(
        self, app: ASGIApp, *, write: LogWriter, probes: bool, client_address: bool
    ) -> None:
        self.app = app
        self._write = write
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
                fields = _fields(scope, status, time.perf_counter() - started)
                if self._client_address:
                    fields["client"] = _client_address(scope)
                self._write(fields, ids)
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


def _fields(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    """Return the fields of the line. Omit the path, which may contain private data."""
    fields = {
        "method": scope["method"],
        "route": scope.get(ROUTE),
        "operation": scope.get(OPERATION_ID),
        "status": status,
        "duration_ms": round(seconds * 1000, 2),
    }
    if (user_id := scope.get(USER_ID)) is not None:
        fields["user"] = _user_hash(user_id)
    return fields
