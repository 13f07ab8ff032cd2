"""Applications for small contracts, by our framework layer or by stock Connexion."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import connexion
import httpx
import uvicorn
import yaml
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.resolver import Resolver

from agent_api.auth.authenticator import Authenticator
from agent_api.contract.resolver import HandlerResolver
from agent_api.live.hub import Hub
from agent_api.middleware.error_handling import ProblemMiddleware
from agent_api.middleware.execution import HandlerMiddleware
from agent_api.settings import Settings
from tests.servers import SECRET

Handlers = Mapping[str, Callable[..., Any]]


def contract(text: str) -> dict[str, Any]:
    """Return a contract from YAML `text`, which has `paths` and may have components."""
    head = {"openapi": "3.0.3", "info": {"title": "Parcels", "version": "1.0.0"}}
    found: dict[str, Any] = yaml.safe_load(text)
    return head | found


def framework_app(definition: dict[str, Any], handlers: Handlers) -> connexion.FlaskApp:
    """Return the application that agent_api.app builds, without pages and database."""
    options: Any = {
        "authenticator": Authenticator(Settings(data_dir=Path("/unused"), jwt_secret=SECRET)),
        "max_body_bytes": 100_000,
        "hub": Hub(lambda _names: {}, max_streams=1, max_streams_per_user=1),
    }

    def contract_middleware(app: Any) -> HandlerMiddleware:
        return HandlerMiddleware(app, **options)

    app = connexion.FlaskApp(
        "tests.framework",
        lifespan=lambda _app: nullcontext(),
        middlewares=[LifespanMiddleware, ProblemMiddleware, contract_middleware],
    )
    app._middleware_app.add_api = lambda *_, **__: None
    app.add_api(definition, resolver=HandlerResolver(handlers))
    return app


def stock_app(definition: dict[str, Any] | Path, handlers: Handlers) -> connexion.FlaskApp:
    """Return the application that stock Connexion builds."""
    app = connexion.FlaskApp("tests.framework")
    resolver = Resolver(lambda name: handlers[name])
    app.add_api(definition, resolver=resolver, validate_responses=True)
    return app


@contextmanager
def serving(app: connexion.FlaskApp) -> Iterator[httpx.Client]:
    """Serve `app` on a free port of 127.0.0.1, and yield a client for it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None, ws="none"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        assert server.started, "the application did not start"
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=10, verify=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(15)
        listener.close()
    assert not thread.is_alive(), "a request did not end"
