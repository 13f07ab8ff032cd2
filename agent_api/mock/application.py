"""Serves examples of the contract to clients and their tests, without a database.

Requests are validated as by the real server. Connexion's own mock only knows the first example of
an operation, and no headers.
"""

import math
import re
from dataclasses import replace
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
from agent_api.contract.security import LEASE_HEADER, LeaseUse
from agent_api.http.problems import LeaseRefused
from agent_api.http.responses import Response
from agent_api.mock.examples import ExampleResolver, Examples, collect_examples
from agent_api.settings import Settings

_PREFERENCE = re.compile(r'\s*(code|example)\s*=\s*("?)([^";]*)\2\s*(;.*)?', re.IGNORECASE)


def create_app(settings: Settings) -> connexion.FlaskApp:
    """Return the application. By default pages of all origins may call it."""
    settings = replace(settings, cors_origins=settings.cors_origins or ("*",))
    operations = partial(MockMiddleware, max_body_bytes=settings.max_body_bytes)
    return assemble(settings, operations, resolver=ExampleResolver(), cors_headers=("Prefer",))


class MockMiddleware(ContractMiddleware):
    """Serves the contract with examples, for any bearer token."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        super().__init__(app, max_body_bytes=max_body_bytes)
        self._examples: dict[str, Examples] = {}

    def add_api(self, specification: Specification, *, resolver: HandlerResolver, **_: Any) -> None:
        """Compile the contract and collect its examples when the application starts."""
        super().add_api(specification, resolver=resolver)
        self._examples = collect_examples(specification)

    async def authenticate(self, operation: Operation, headers: Headers) -> Principal | None:
        """Accept any bearer token, and any lease where the server accepts one.

        Raises Unauthorized without a token, and LeaseRefused.
        """
        if not operation.requires_token:
            return None
        bearer_token(headers)
        has_lease = LEASE_HEADER.lower().encode() in headers
        if operation.lease_use is LeaseUse.REQUIRED and not has_lease:
            raise LeaseRefused(f"Send the lease of the run in one header {LEASE_HEADER}.")
        if operation.lease_use is LeaseUse.REFUSED and has_lease:
            raise LeaseRefused(f"This operation does not accept the header {LEASE_HEADER}.")
        return Principal("anyone", frozenset(), math.inf)

    async def respond(self, request: Request) -> Response:
        """Return the example that the request prefers, or the one that fits best."""
        raw_body = request.raw_body
        body = None if raw_body is None else request.operation.parse_body(raw_body)
        preferences = _preferences(request.headers)
        examples = self._examples[request.operation.operation_id]
        if preferences:
            return examples.select(preferences.get("code"), preferences.get("example"))
        return examples.best_match(request.arguments, body)


def _preferences(headers: Headers) -> dict[str, str]:
    """Return `code` and `example` of the Prefer headers. The first wins (RFC 7240)."""
    found: dict[str, str] = {}
    for header in headers.get(b"prefer", ()):
        for preference in header.decode("latin-1").split(","):
            if match := _PREFERENCE.fullmatch(preference):
                found.setdefault(match[1].lower(), match[3].strip())
    return found
