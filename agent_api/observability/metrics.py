"""What each process counts for Prometheus: its requests, its connections, the database's failures.

The numbers live in files, which the process that serves /metrics adds up (see metrics_server).
"""

import time
from functools import cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import QueuePool
from sqlalchemy.pool import ConnectionPoolEntry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_api.http.request_context import METHODS, OPERATION_ID
from agent_api.observability.hooks import Observers
from agent_api.settings import Settings
from db.engine import Hooks
from db.errors import Timeout, TooLarge, Unavailable

OTHER = "other"
"""Of operations: every path outside the contract. Of methods: all that are not in METHODS."""

FAILURES: dict[type[Exception], str] = {
    Unavailable: "unavailable",
    Timeout: "timeout",
    TooLarge: "too_large",
}
UNEXPECTED = "unexpected"

requests = Counter(
    "agent_api_http_requests",
    "Requests answered; status 499: the client left before its answer.",
    ["operation", "method", "status"],
    registry=None,
)
duration = Histogram(
    "agent_api_http_request_duration_seconds",
    "Time from a request's headers to the end of its answer.",
    ["operation"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=None,
)
in_progress = Gauge(
    "agent_api_http_requests_in_progress",
    "Requests that are being answered.",
    multiprocess_mode="livesum",
    registry=None,
)
workers = Gauge(
    "agent_api_workers",
    "Processes that serve.",
    multiprocess_mode="livesum",
    registry=None,
)
handler_wait = Histogram(
    "agent_api_handler_wait_seconds",
    "Time that a request waited for a thread to work in, or until it gave up.",
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5),
    registry=None,
)
pool_size = Gauge(
    "agent_api_db_pool_size",
    "Connections to the database that all workers together may open.",
    multiprocess_mode="livesum",
    registry=None,
)
pool_in_use = Gauge(
    "agent_api_db_pool_in_use",
    "Connections to the database that requests hold.",
    multiprocess_mode="livesum",
    registry=None,
)
pool_wait = Histogram(
    "agent_api_db_pool_wait_seconds",
    "Time until a thread had its connection: waiting for a free one, or opening a new one.",
    buckets=(0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5),
    registry=None,
)
failures = Counter(
    "agent_api_db_errors",
    "Database errors by what became of them: 503, 504, 422, or the defect behind a 500.",
    ["kind"],
    registry=None,
)

# Looking a series up by its labels takes longer than all the counting.
_requests = cache(requests.labels)
_duration = cache(duration.labels)


def observers(settings: Settings) -> Observers:
    """Return what counts in this process."""
    workers.set(1)
    pool_size.set(settings.pool_size)
    for kind in (*FAILURES.values(), UNEXPECTED):
        failures.labels(kind)  # there from the start: an alert sees the first one as a rise
    return Observers(
        middlewares=[MetricsMiddleware],
        on_thread_wait=handler_wait.observe,
        hooks=Hooks(pool_class=CountedPool, on_failure=count_failure),
    )


class MetricsMiddleware:
    """Counts each request when it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 499

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        in_progress.inc()
        try:
            await self.app(scope, receive, observed_send)
        finally:
            in_progress.dec()
            method = scope["method"] if scope["method"] in METHODS else OTHER
            operation = scope.get(OPERATION_ID) or OTHER
            _requests(operation, method, status).inc()
            _duration(operation).observe(time.perf_counter() - started)


class CountedPool(QueuePool):
    """The pool, which times how long a connection takes to be had, and counts those lent out."""

    def _do_get(self) -> ConnectionPoolEntry:
        started = time.perf_counter()
        try:
            entry = super()._do_get()
        finally:
            pool_wait.observe(time.perf_counter() - started)
        pool_in_use.inc()
        return entry

    def _do_return_conn(self, record: Any) -> None:
        pool_in_use.dec()
        super()._do_return_conn(record)


def count_failure(error: Exception) -> None:
    """Count what the engine made of a database error."""
    failures.labels(FAILURES.get(type(error), UNEXPECTED)).inc()
