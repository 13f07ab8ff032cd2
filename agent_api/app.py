"""create_app: loads the contract, wires the frame around the handlers, and nothing else."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import connexion
from connexion.middleware.lifespan import LifespanMiddleware
from starlette.middleware.cors import CORSMiddleware

from agent_api import log, pages
from agent_api.auth import Authenticator
from agent_api.config import Settings
from agent_api.contract import ContractMiddleware
from agent_api.database import database
from agent_api.log import RequestLogMiddleware
from agent_api.problem_middleware import ProblemMiddleware
from agent_api.resolver import HandlerResolver, collect_handlers
from agent_api.spec import load_contract
from db import engine


def create_app(settings: Settings) -> connexion.FlaskApp:
    """Return the ASGI application; it connects to the database when its lifespan starts."""
    contract = load_contract()
    threads = ThreadPoolExecutor(settings.pool_size, thread_name_prefix="handler")
    app = connexion.FlaskApp(
        "agent_api",
        lifespan=partial(_lifespan, settings, threads),
        middlewares=_middlewares(settings, threads),
        server_args={"static_folder": None},
    )
    # Flask would route the contract's operations too, past our security: it only gets the pages.
    app._middleware_app.add_api = _ignore
    pages.register(app.app, contract)
    app.add_api(contract, resolver=HandlerResolver(collect_handlers()))
    return app


def _ignore(*_args: Any, **_kwargs: Any) -> None:
    pass


def _middlewares(settings: Settings, threads: ThreadPoolExecutor) -> list[Any]:
    """Return the stack, outermost first: problems get the CORS headers and the request's id too."""
    cors = partial(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=("Authorization", "Content-Type", "X-Request-Id"),
        expose_headers=("Location", "Retry-After", "WWW-Authenticate", "X-Request-Id"),
    )
    contract = partial(
        ContractMiddleware,
        authenticator=Authenticator(settings),
        max_body_bytes=settings.max_body_bytes,
        threads=threads,
    )
    return [
        RequestLogMiddleware,
        *([cors] if settings.cors_origins else []),
        ProblemMiddleware,
        contract,
        LifespanMiddleware,
    ]


def create_app_from_environment() -> connexion.FlaskApp:
    """Return the application of one worker process, which uvicorn starts by this name."""
    settings = Settings.load()
    log.configure(settings)
    return create_app(settings)


@asynccontextmanager
async def _lifespan(
    settings: Settings, threads: ThreadPoolExecutor, _app: Any
) -> AsyncIterator[None]:
    """Hold the database while the process serves; the embedded one stops with its last user."""
    with database(settings) as url:
        engine.configure(
            url, pool_size=settings.pool_size, statement_timeout_ms=settings.statement_timeout_ms
        )
        try:
            yield
        finally:
            threads.shutdown()  # a handler that still runs needs its connection
            engine.dispose()
