"""Assembles the application from contract, handlers, middleware and database."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import connexion
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.spec import Specification
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import handlers
from agent_api import pages
from agent_api.auth.authenticator import Authenticator
from agent_api.contract.operation import Operation
from agent_api.contract.resolver import HandlerResolver, collect_handlers
from agent_api.contract.routing import compile_operations
from agent_api.contract.spec import load_contract
from agent_api.http import links
from agent_api.http.request_context import ON_FORCED_EXIT, ON_STOP
from agent_api.live.hub import Hub
from agent_api.middleware.error_handling import ProblemMiddleware
from agent_api.middleware.execution import HandlerMiddleware
from agent_api.middleware.rate_limiting import RateLimiter, address_of
from agent_api.middleware.request_log import RequestLogMiddleware
from agent_api.middleware.response_headers import ResponseHeadersMiddleware
from agent_api.middleware.root_path import RootPathMiddleware, refuse_collision
from agent_api.observability import setup
from agent_api.observability.hooks import Observers
from agent_api.settings import Settings
from agent_api.settings.storage import database
from db import engine, live, sweeps
from db.engine import bridge
from db.errors import Failure, Refused, describe
from db.execution import expiry, waiting_runs
from db.search import backlog
from db.sweeps import Retention

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 60
EXPIRY_SECONDS = 5
"""How often to look for runs whose workers have stopped."""

Middleware = Callable[[ASGIApp], ASGIApp]

_CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CORS_REQUEST_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"),
    *("Last-Event-ID", "Run-Lease", "X-Request-Id", "traceparent", "tracestate"),
)
_CORS_RESPONSE_HEADERS = (
    *("ETag", "Location", "RateLimit", "RateLimit-Policy"),
    *("Retry-After", "WWW-Authenticate", "X-Request-Id"),
)


def create_app(settings: Settings) -> connexion.FlaskApp:
    """Return the ASGI application. Its lifespan connects to the database."""
    observers = setup.observers(settings)
    authenticator = Authenticator(settings)
    limiter = _rate_limiter(settings)
    link_limiter = RateLimiter(
        per_minute=settings.link_rate_limit_per_minute,
        burst=settings.link_rate_limit_per_minute,
        policy="address",
        bucket_of=address_of,
    )
    hub = Hub(
        live.select_values,
        max_streams=settings.max_streams,
        max_streams_per_user=settings.max_streams_per_user,
        hooks=observers.streams,
    )
    operations = partial(
        HandlerMiddleware,
        authenticator=authenticator,
        max_body_bytes=settings.max_body_bytes,
        hub=hub,
        limiter=limiter,
        link_limiter=link_limiter,
        link_base=settings.link_url or f"{settings.root_path or ''}{links.PATH}",
    )
    return assemble(
        settings,
        operations,
        resolver=_resolver(),
        observers=observers.middlewares,
        lifespan=partial(
            _lifespan, settings, authenticator, observers, (limiter, link_limiter), hub
        ),
    )


def assemble(
    settings: Settings,
    operations: Middleware,
    *,
    resolver: HandlerResolver,
    cors_headers: Sequence[str] = (),
    observers: Sequence[Middleware] = (),
    lifespan: Callable[[Any], Any] = lambda _app: nullcontext(),
) -> connexion.FlaskApp:
    """Return an application whose middleware `operations` serves the contract.

    Browsers may send `cors_headers` in addition to the headers of the contract.
    """
    contract = load_contract()
    app = connexion.FlaskApp(
        "agent_api",
        lifespan=lifespan,
        middlewares=[
            LifespanMiddleware,  # outermost, and run.py sets ws="none": the others only get HTTP
            *_root_path(settings),
            *observers,
            *_middlewares(settings, operations, cors_headers),
        ],
        server_args={"static_folder": None},
    )
    # Otherwise Flask would also route the operations, without authentication.
    app._middleware_app.add_api = lambda *_, **__: None
    pages.register(app.app, contract, settings.root_path)
    app.add_api(contract, resolver=resolver)
    return app


def check_root_path(settings: Settings) -> None:
    """Raise ConfigError if the root path could be confused with a path of the API."""
    if settings.root_path is not None:
        refuse_collision(settings.root_path, (*load_contract()["paths"], *pages.PATHS))


def compile_contract() -> list[Operation]:
    """Return the operations. Raises ContractError unless all handlers match."""
    return compile_operations(Specification.load(load_contract()), _resolver())


def _resolver() -> HandlerResolver:
    return HandlerResolver(collect_handlers(handlers))


def _rate_limiter(settings: Settings) -> RateLimiter | None:
    if (per_minute := settings.rate_limit_per_minute) is None:
        return None
    return RateLimiter(per_minute=per_minute, burst=settings.rate_limit_burst or per_minute)


def _root_path(settings: Settings) -> list[Middleware]:
    if settings.root_path is None:
        return []
    return [partial(RootPathMiddleware, root_path=settings.root_path)]


def _middlewares(
    settings: Settings, operations: Middleware, cors_headers: Sequence[str]
) -> list[Any]:
    """Return the middleware, outermost first.

    Problems are created inside, so that they get the CORS headers and the request id.
    """
    cors = partial(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=_CORS_METHODS,
        allow_headers=(*_CORS_REQUEST_HEADERS, *cors_headers),
        expose_headers=_CORS_RESPONSE_HEADERS,
    )
    return [
        ResponseHeadersMiddleware,
        partial(
            RequestLogMiddleware,
            log_format=settings.log_format,
            probes=settings.log_probes,
            client_address=settings.log_client_address,
        ),
        *([cors] if settings.cors_origins else []),
        ProblemMiddleware,
        operations,
    ]


@asynccontextmanager
async def _lifespan(
    settings: Settings,
    authenticator: Authenticator,
    observers: Observers,
    limiters: tuple[RateLimiter | None, RateLimiter],
    hub: Hub,
    _app: Any,
) -> AsyncIterator[dict[str, Any]]:
    """Connect to the database, and disconnect when the application stops."""
    authenticator.keys.prefetch()  # so that an outage of the provider finds each worker with keys
    with database(settings) as url:
        engine.configure(
            url,
            pool_size=settings.pool_size,
            statement_timeout_ms=settings.statement_timeout_ms,
            prepare=settings.prepared_statements == "auto",
            hooks=replace(observers.hooks, on_commit=hub.wake),
            read_url=settings.read_database_url,
        )
        limiter, link_limiter = limiters
        kept = Retention(
            transient_events=timedelta(seconds=settings.transient_event_seconds),
            changes=timedelta(days=settings.change_retention_days),
        )
        deletions = partial(
            sweeps.run,
            limit=limiter.limit if limiter is not None else None,
            link_limit=link_limiter.limit,
            kept=kept,
        )
        expiries = partial(expiry.run, on_expired=observers.on_expired_lease)
        sweeping = [
            _repeat("deletion", deletions, SWEEP_SECONDS, observers),
            _repeat("expiry", expiries, EXPIRY_SECONDS, observers),
            _repeat("continuation", waiting_runs.run, SWEEP_SECONDS, observers),
            _repeat("indexing", backlog.run, SWEEP_SECONDS, observers),
        ]
        tasks = [asyncio.create_task(each) for each in sweeping]
        try:
            yield {ON_STOP: hub.close, ON_FORCED_EXIT: observers.close}
        finally:
            for task in tasks:
                task.cancel()
            engine.dispose()
            observers.close()


async def _repeat(
    name: str, sweep: Callable[[], object], seconds: float, observers: Observers
) -> None:
    """Run a sweep now, and again `seconds` after each end."""
    while True:
        error: Exception | None = None
        try:
            await bridge.run(sweep)
        except Failure as raised:  # it says why: a trace for each attempt would hide the reason
            logger.warning("sweep failed", extra={"reason": describe(raised)})
            error = raised
        except Refused as raised:  # not even a defect may end the sweeps
            logger.warning("sweep failed", exc_info=True)
            error = raised
        observers.on_sweep(name, error)
        await asyncio.sleep(seconds)
