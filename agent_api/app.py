"""create_app: loads the contract, wires the frame around it, and nothing else."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import connexion
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.spec import Specification
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import handlers
from agent_api.auth.authenticator import Authenticator
from agent_api.contract.operation import Operation
from agent_api.contract.resolver import HandlerResolver, collect_handlers
from agent_api.contract.routing import compile_operations
from agent_api.contract.spec import load_contract
from agent_api.http.request_context import ON_FORCED_EXIT
from agent_api.middleware.error_handling import ProblemMiddleware
from agent_api.middleware.execution import QUEUE_SECONDS, HandlerMiddleware
from agent_api.middleware.rate_limiting import RateLimiter, RateLimitMiddleware
from agent_api.middleware.request_log import RequestLogMiddleware, access_writer
from agent_api.middleware.security_headers import SecurityHeadersMiddleware
from agent_api.middleware.threads import Threads
from agent_api.observability import setup
from agent_api.observability.hooks import Observers
from agent_api.pages import docs
from agent_api.settings import Settings
from agent_api.settings.storage import database
from db import engine

_CORS_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"),
    *("X-Request-Id", "traceparent", "tracestate"),
)


def create_app(settings: Settings) -> connexion.FlaskApp:
    """Return the ASGI application; it connects to the database when its lifespan starts."""
    observers = setup.observers(settings)
    threads = Threads(
        settings.pool_size,
        name="handler",
        timeout=QUEUE_SECONDS,
        on_wait=observers.on_thread_wait,
    )
    limiter = _limiter(settings)
    operations = partial(
        HandlerMiddleware,
        authenticator=Authenticator(settings),
        max_body_bytes=settings.max_body_bytes,
        threads=threads,
        limiter=limiter,
    )
    return assemble(
        operations,
        resolver=_resolver(),
        log_format=settings.log_format,
        cors_origins=settings.cors_origins,
        observers=observers.middlewares,
        is_limited=limiter is not None,
        lifespan=partial(_lifespan, settings, threads, observers),
    )


def assemble(
    operations: Callable[[ASGIApp], ASGIApp],
    *,
    resolver: HandlerResolver,
    log_format: str,
    cors_origins: Sequence[str],
    cors_headers: Sequence[str] = (),
    observers: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
    is_limited: bool = False,
    lifespan: Callable[[Any], Any] | None = None,
) -> connexion.FlaskApp:
    """Return an application that serves the contract by the middleware `operations`.

    Pages of `cors_origins` may call it, and send `cors_headers` beside the contract's own.
    """
    contract = load_contract()
    app = connexion.FlaskApp(
        "agent_api",
        lifespan=lifespan,
        middlewares=[
            *observers,
            *_middlewares(operations, log_format, cors_origins, cors_headers, is_limited),
        ],
        server_args={"static_folder": None},
    )
    # Flask would route the contract's operations too, past our security: it only gets the pages.
    app._middleware_app.add_api = _ignore
    docs.register(app.app, contract)
    app.add_api(contract, resolver=resolver)
    return app


def compile_contract() -> list[Operation]:
    """Return the contract's operations; raises ContractError if the handlers do not match."""
    return compile_operations(Specification.load(load_contract()), _resolver())


def _resolver() -> HandlerResolver:
    return HandlerResolver(collect_handlers(handlers))


def _limiter(settings: Settings) -> RateLimiter | None:
    """Return what limits each user's requests; without a setting for it nothing does."""
    if (per_minute := settings.rate_limit_per_minute) is None:
        return None
    return RateLimiter(per_minute=per_minute, burst=settings.rate_limit_burst or per_minute)


def _ignore(*_args: Any, **_kwargs: Any) -> None:
    pass


def _middlewares(
    operations: Callable[[ASGIApp], ASGIApp],
    log_format: str,
    cors_origins: Sequence[str],
    cors_headers: Sequence[str],
    is_limited: bool,
) -> list[Any]:
    """Return the stack, outermost first: problems get the CORS headers and the request's id too."""
    cors = partial(
        CORSMiddleware,
        allow_origins=cors_origins,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=(*_CORS_HEADERS, *cors_headers),
        expose_headers=(
            *("ETag", "Location", "RateLimit", "RateLimit-Policy"),
            *("Retry-After", "WWW-Authenticate", "X-Request-Id"),
        ),
    )
    return [
        SecurityHeadersMiddleware,
        partial(RequestLogMiddleware, write=access_writer(log_format)),
        *([cors] if cors_origins else []),
        *([RateLimitMiddleware] if is_limited else []),
        ProblemMiddleware,
        operations,
        LifespanMiddleware,
    ]


@asynccontextmanager
async def _lifespan(
    settings: Settings, threads: Threads, observers: Observers, _app: Any
) -> AsyncIterator[dict[str, Any]]:
    """Hold the database while the process serves; the embedded one stops with its last user."""
    with database(settings) as url:
        engine.configure(
            url,
            pool_size=settings.pool_size,
            statement_timeout_ms=settings.statement_timeout_ms,
            hooks=observers.hooks,
        )
        try:
            yield {ON_FORCED_EXIT: observers.close}
        finally:
            threads.shutdown()  # a handler that still runs needs its connection
            engine.dispose()
            observers.close()
