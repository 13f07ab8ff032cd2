"""Counts requests, database connections and database errors for Prometheus.

Each process writes its numbers to files. The metrics server adds them up.
"""

import time
from functools import cache, partial
from itertools import product

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_api import __version__
from agent_api.http.request_context import IS_STREAM, METHODS, OPERATION_ID
from agent_api.live.hub import StreamHooks
from agent_api.observability.hooks import Observers
from agent_api.settings import Settings
from db.engine import Hooks, PoolHooks
from db.errors import Busy, Refused, Timeout, TooLarge, Unavailable

OTHER = "other"
"""The label of unknown paths and of methods that are not in METHODS."""

FAILURES: dict[type[Exception], str] = {
    Busy: "busy",
    Unavailable: "unavailable",
    Timeout: "timeout",
    TooLarge: "too_large",
}
UNEXPECTED = "unexpected"

_gauge = partial(Gauge, multiprocess_mode="livesum", registry=None)

requests = Counter(
    "agent_api_http_requests",
    "HTTP requests. Status 499: the client disconnected before the response.",
    ["operation", "method", "status"],
    registry=None,
)
duration = Histogram(
    "agent_api_http_request_duration_seconds",
    "Time from the request headers to the end of the response; of a stream, to its start.",
    ["operation"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=None,
)
in_progress = _gauge(
    "agent_api_http_requests_in_progress", "Requests in progress, including open streams."
)
streams = _gauge("agent_api_streams", "Open event streams.")
delivery = Histogram(
    "agent_api_stream_delivery_seconds",
    "Time from the write of an event until a stream that waits for it sends it.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=None,
)
workers = _gauge("agent_api_workers", "Worker processes.")
pool_size = _gauge(
    "agent_api_db_pool_size", "Maximum number of database connections of all workers together."
)
pool_in_use = _gauge("agent_api_db_pool_in_use", "Database connections in use.")
pool_wait = Histogram(
    "agent_api_db_pool_wait_seconds",
    "Time until a request got a database connection, waiting or connecting.",
    buckets=(0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5),
    registry=None,
)
failures = Counter(
    "agent_api_db_errors",
    "Database errors by kind, which determines the status: 503, 504, 422 or 500.",
    ["kind"],
    registry=None,
)

sweeps = Counter(
    "agent_api_sweeps",
    "Sweeps by result: ok, failed (the database was away or slow) or refused (a defect).",
    ["sweep", "result"],
    registry=None,
)
expired_leases = Counter(
    "agent_api_expired_leases",
    "Leases whose workers sent no heartbeat in time.",
    registry=None,
)
build_info = Gauge(
    "agent_api_build_info",
    "The version of the agent API.",
    ["version"],
    multiprocess_mode="max",
    registry=None,
)

# Looking up a series by its labels takes longer than incrementing it.
_requests = cache(requests.labels)
_duration = cache(duration.labels)


def observers(settings: Settings) -> Observers:
    """Return the hooks that count, and set the initial values."""
    build_info.labels(__version__).set(1)
    workers.set(1)
    pools = 1 if settings.read_database_url is None else 2
    pool_size.set(settings.pool_size * pools)
    for kind in (*FAILURES.values(), UNEXPECTED):
        failures.labels(kind)  # start at 0, so that alerts see the first error as an increase
    names = ("deletion", "expiry", "continuation", "indexing")
    for sweep, result in product(names, ("ok", "failed", "refused")):
        sweeps.labels(sweep, result)
    return Observers(
        middlewares=[MetricsMiddleware],
        hooks=Hooks(
            pool=PoolHooks(on_wait=pool_wait.observe, on_use=pool_in_use.inc),
            on_failure=count_failure,
        ),
        on_sweep=count_sweep,
        on_expired_lease=expired_leases.inc,
        streams=StreamHooks(on_open=streams.inc, on_delivery=delivery.observe),
    )


class MetricsMiddleware:
    """Counts each request when its response is complete."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = time.perf_counter()
        ended = None
        status = 499

        async def observed_send(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                if scope.get(IS_STREAM):
                    ended = time.perf_counter()
            await send(message)

        in_progress.inc()
        try:
            await self.app(scope, receive, observed_send)
        finally:
            in_progress.dec()
            method = scope["method"] if scope["method"] in METHODS else OTHER
            operation = scope.get(OPERATION_ID) or OTHER
            _requests(operation, method, status).inc()
            _duration(operation).observe((ended or time.perf_counter()) - started)


def count_sweep(name: str, error: Exception | None) -> None:
    """Count a sweep by its result."""
    result = "ok" if error is None else "refused" if isinstance(error, Refused) else "failed"
    sweeps.labels(name, result).inc()


def count_failure(error: Exception) -> None:
    """Count a database error, after the engine has classified it."""
    failures.labels(FAILURES.get(type(error), UNEXPECTED)).inc()
