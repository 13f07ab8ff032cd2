"""Serves the operations of the contract, and passes other paths on.

This Connexion SpecMiddleware replaces the stock middlewares for routing, security, parameters and
validation. docs/decisions/0001 explains why.
"""

from abc import abstractmethod
from typing import Any

from connexion.middleware.abstract import SpecMiddleware
from connexion.spec import Specification
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_api.auth.principal import Principal
from agent_api.contract import body
from agent_api.contract.operation import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    Headers,
    Operation,
    Request,
)
from agent_api.contract.parameters import check_path
from agent_api.contract.resolver import HandlerResolver
from agent_api.contract.routing import Router, compile_operations
from agent_api.http import preconditions, request_context, sending
from agent_api.http.request_context import (
    OPERATION_ID,
    ROUTE,
    STATUSES,
    USER_ID,
    ClientDisconnected,
)
from agent_api.http.responses import Response


class ContractMiddleware(SpecMiddleware):  # type: ignore[misc]  # connexion ships no types
    """Validates requests and sends responses. Subclasses authenticate and respond."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self.app = app
        self._max_body_bytes = max_body_bytes
        self._router = Router([])

    @abstractmethod
    async def authenticate(self, operation: Operation, headers: Headers) -> Principal | None:
        """Return the caller, or None if the operation needs no token.

        Raises Unauthorized.
        """

    @abstractmethod
    async def respond(self, request: Request) -> Response:
        """Return the validated response."""

    def add_api(self, specification: Specification, *, resolver: HandlerResolver, **_: Any) -> None:
        """Compile the contract. Connexion calls this when the application starts."""
        self._router = Router(compile_operations(specification, resolver))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve requests to operations, and pass everything else on."""
        found = self._router.find(scope["path"], scope["method"])
        if found is None:
            await self.app(scope, receive, send)
            return
        response = await self._handle(*found, scope, receive)
        if response is not None:
            sent = sending.send_response(response, scope, receive, send)
            del found, response  # a stream can take hours: keep nothing that it does not need
            await sent

    async def _handle(
        self,
        operation: Operation,
        path_arguments: dict[str, str],
        scope: Scope,
        receive: Receive,
    ) -> Response | None:
        """Return the response, or None if the client has disconnected."""
        scope[OPERATION_ID] = operation.operation_id
        scope[ROUTE] = operation.path
        scope[STATUSES] = operation.statuses
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        principal = await self.authenticate(operation, headers)
        if principal is not None:
            scope[USER_ID] = principal.user_id
        arguments = operation.read_arguments(
            path_arguments, scope["query_string"], headers, principal
        )
        if not operation.takes_secret:
            check_path(scope["path"], scope["raw_path"])
        key = arguments.pop(IDEMPOTENCY_KEY, None)
        if_none_match = arguments.pop(IF_NONE_MATCH, None)
        try:
            raw_body = await self._read_body(operation, headers, scope, receive)
            request_context.receive.set(receive)
            request = Request(operation, arguments, raw_body, headers, principal, key, scope)
            response = await self.respond(request)
        except ClientDisconnected:
            return None
        if if_none_match is not None:
            response = preconditions.apply_if_none_match(response, if_none_match)
        return response

    async def _read_body(
        self, operation: Operation, headers: Headers, scope: Scope, receive: Receive
    ) -> bytes | None:
        if not operation.has_body:
            return None
        media_type = _first(headers, b"content-type")
        may_be_absent = media_type is None and not operation.body_required
        if not may_be_absent:
            body.check_media_type(media_type, _first(headers, b"content-encoding"))
        length = _first(headers, b"content-length")
        raw = await body.read(scope, receive, length, self._max_body_bytes)
        if raw and may_be_absent:
            body.check_media_type(media_type, None)
        return raw


def _first(headers: Headers, name: bytes) -> str | None:
    values = headers.get(name)
    return values[0].decode("latin-1") if values else None
