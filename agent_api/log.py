"""The log: how its lines look, the request's id, and one line for every request."""

import hashlib
import logging
import logging.config
import re
import sys
import time
import uuid
from contextvars import ContextVar

from pythonjsonlogger.orjson import OrjsonFormatter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_api.config import Settings
from agent_api.scope import OPERATION_ID, USER_ID

access = logging.getLogger("agent_api.access")
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._~+/=:-]{1,128}")
_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class RequestIdFilter(logging.Filter):
    """Adds the id of the request that is being answered to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass every record on."""
        if (request_id := _request_id.get()) is not None:
            record.request_id = request_id
        return True


class TextFormatter(logging.Formatter):
    """One line for a person: time, level, message, and the fields as name=value."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Append the fields given by `extra=`."""
        fields = (f"{k}={v}" for k, v in vars(record).items() if k not in _PLAIN_FIELDS)
        return " ".join([super().formatMessage(record), *fields])


def json_formatter() -> logging.Formatter:
    """Return the formatter of JSON lines: timestamp (UTC), level, logger, message, fields."""
    return OrjsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        timestamp=True,
        rename_fields={"levelname": "level", "name": "logger"},
    )


def configure(settings: Settings) -> None:
    """Send the whole process's log to standard error in the settings' format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RequestIdFilter())
    handler.setFormatter(TextFormatter() if settings.log_format == "text" else json_formatter())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # One line says that the server started, ours; theirs say it five times, without fields.
    for name in ("uvicorn.error", "alembic", "connexion", "asyncio", "watchfiles"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def user_hash(user_id: str) -> str:
    """Return what stands for a user in the log: the same for the same user, and not the id."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:12]


class RequestLogMiddleware:
    """Gives each request its id, in `X-Request-Id` too, and writes one line when it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the client's own id is kept if it is 1 to 128 plain characters."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _given_id(scope) or str(uuid.uuid4()).encode()
        token = _request_id.set(request_id.decode())
        status = 499  # nginx's number for a client that went away; nothing was sent to it

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            _log(scope, status, time.perf_counter() - started)
            _request_id.reset(token)


def _given_id(scope: Scope) -> bytes | None:
    given: list[bytes] = [value for name, value in scope["headers"] if name == b"x-request-id"]
    return given[0] if len(given) == 1 and _ACCEPTED_ID.fullmatch(given[0]) else None


def _log(scope: Scope, status: int, seconds: float) -> None:
    """Name the operation rather than the path, which may hold anything that a client sends."""
    if not access.isEnabledFor(logging.INFO):
        return
    fields = {
        "method": scope["method"],
        "operation": scope.get(OPERATION_ID),
        "status": status,
        "duration_ms": round(seconds * 1000, 2),
    }
    if (user_id := scope.get(USER_ID)) is not None:
        fields["user"] = user_hash(user_id)
    access.info("request", extra=fields)
