"""Stock Connexion: FlaskApp with its own security and validation, around our handlers and queries.

Of the frame it uses what the handlers themselves import, and nothing that serves a request.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import connexion
import orjson
from connexion.exceptions import OAuthProblem
from connexion.resolver import Resolver
from connexion.security import BearerSecurityHandler

import handlers
from agent_api.auth.principal import Principal
from agent_api.contract.resolver import collect_handlers
from agent_api.contract.spec import load_contract
from agent_api.http.problems import MEDIA_TYPE, Problem
from agent_api.http.responses import Response
from agent_api.middleware.error_handling import from_exception
from benchmarks.peers.common import Config, Refusal, Tokens
from db import engine
from db.errors import Failure

# Connexion holds every answer to the headers that the contract requires.
REQUIRED = {"X-Request-Id": "the benchmark's", "ETag": '"00000000000000000000000000000000"'}
Answer = tuple[Any, int, dict[str, str]]


def create_app(config: Config) -> connexion.FlaskApp:
    tokens = Tokens(config.secret)

    def token_info(token: str) -> dict[str, str]:
        try:
            return {"sub": tokens.user(f"Bearer {token}")}
        except Refusal as refusal:
            raise OAuthProblem(detail=refusal.detail) from refusal

    class Bearer(BearerSecurityHandler):  # type: ignore[misc]  # connexion ships no types
        def _resolve_func(self, _scheme: Mapping[str, Any]) -> Callable[[str], dict[str, str]]:
            return token_info

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        engine.configure(config.database_url, pool_size=config.pool_size, statement_timeout_ms=5000)
        yield
        engine.dispose()

    adapted = {name: _adapted(h) for name, h in collect_handlers(handlers).items()}
    app = connexion.FlaskApp("stock", lifespan=lifespan)
    app.add_api(
        load_contract(),
        resolver=Resolver(adapted.__getitem__),
        security_map={"bearer": Bearer},
        validate_responses=True,
    )
    return app


def _adapted(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A view for Connexion: it gives only the arguments that a request has, and wants a tuple."""
    if inspect.iscoroutinefunction(handler):  # the health checks: not compared
        return handler
    absent = dict.fromkeys(inspect.signature(handler).parameters)

    def view(**given: Any) -> Answer:
        arguments = {**absent, **{name: given[name] for name in absent.keys() & given.keys()}}
        if "principal" in absent:
            arguments["principal"] = Principal(given["user"], frozenset())
        try:
            response: Response = handler(**arguments)
        except (Problem, Failure) as error:
            problem = from_exception(error)
            return _answer(orjson.loads(problem.body()), problem.status, MEDIA_TYPE, {})
        body = _body(response)
        return _answer(body, response.status, response.media_type, response.headers)

    view.__name__ = handler.__name__
    return view


def _body(response: Response) -> Any:
    """Connexion wants what becomes JSON, and takes no text that is JSON already."""
    body = response.body
    return orjson.loads(response.with_extra_members(body)) if isinstance(body, bytes) else body


def _answer(body: Any, status: int, media_type: str, headers: dict[str, str]) -> Answer:
    return body, status, {"Content-Type": media_type, **REQUIRED, **headers}
