"""Serves the contract's examples without a database: for front ends, and for the tests of clients.

Requests are checked as the server checks them; only the answer is an example. Connexion's own mock
knows the first example of an operation and none of its headers, so the choice is made here.
"""

import re
from functools import partial
from typing import Any

import connexion
from connexion.spec import Specification
from starlette.types import ASGIApp

from agent_api.app import assemble
from agent_api.auth.authenticator import bearer_token
from agent_api.auth.principal import Principal
from agent_api.contract.middleware import ContractMiddleware
from agent_api.contract.operation import Headers, Operation, Request
from agent_api.contract.resolver import HandlerResolver
from agent_api.http.responses import Response
from agent_api.mock.examples import ExampleResolver, Examples, collect_examples
from agent_api.settings import Settings

_PREFERENCE = re.compile(r'\s*(code|example)\s*=\s*("?)([^";]*)\2\s*(;.*)?', re.IGNORECASE)


def create_app(settings: Settings) -> connexion.FlaskApp:
    """Return the application; pages of every origin may call it unless the settings name some."""
    operations = partial(MockMiddleware, max_body_bytes=settings.max_body_bytes)
    return assemble(
        operations,
        resolver=ExampleResolver(),
        log_format=settings.log_format,
        cors_origins=settings.cors_origins or ("*",),
        cors_headers=("Prefer",),
    )


class MockMiddleware(ContractMiddleware):
    """The contract answered by its examples, to whoever sends any bearer token."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        super().__init__(app, max_body_bytes=max_body_bytes)
        self._examples: dict[str, Examples] = {}

    def add_api(self, specification: Specification, *, resolver: HandlerResolver, **_: Any) -> None:
        """Collect the examples when the application starts."""
        super().add_api(specification, resolver=resolver)
        self._examples = collect_examples(specification)

    async def authenticate(self, operation: Operation, headers: Headers) -> Principal | None:
        """Accept any bearer token; raises Unauthorized where there is none."""
        if not operation.requires_token:
            return None
        bearer_token(headers)
        return Principal("anyone", frozenset())

    async def respond(self, request: Request) -> Response:
        """Return the example that the request prefers, or that fits it best."""
        raw_body = request.raw_body
        body = None if raw_body is None else request.operation.parse_body(raw_body)
        preferences = _preferences(request.headers)
        examples = self._examples[request.operation.operation_id]
        if preferences:
            return examples.preferred(preferences.get("code"), preferences.get("example"))
        return examples.fitting(request.arguments, body)


def _preferences(headers: Headers) -> dict[str, str]:
    """Return what Prefer says of code and example; of one given twice the first (RFC 7240)."""
    found: dict[str, str] = {}
    for header in headers.get(b"prefer", ()):
        for preference in header.decode("latin-1").split(","):
            if match := _PREFERENCE.fullmatch(preference):
                found.setdefault(match[1].lower(), match[3].strip())
    return found
