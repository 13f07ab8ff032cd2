"""Serves the contract's operations: routing, arguments, body, answer.

A Connexion SpecMiddleware, given through the documented `middlewares=`: for the operations of the
contract it takes the place of the stock routing, security, parameter and validation middlewares,
and it leaves every other path to the application inside. docs/decisions says why.
"""

import asyncio
import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Generator
from http import HTTPStatus
from typing import Any

from connexion.http_facts import METHODS
from connexion.middleware.abstract import SpecMiddleware
from connexion.spec import Specification
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_api.auth.principal import Principal
from agent_api.contract import body
from agent_api.contract.operation import IDEMPOTENCY_KEY, IF_NONE_MATCH, Call, Headers, Operation
from agent_api.contract.resolver import HandlerResolver
from agent_api.contract.spec import ContractError
from agent_api.http import preconditions
from agent_api.http.problems import MethodNotAllowed
from agent_api.http.request_context import OPERATION_ID, ROUTE, STATUSES, USER_ID
from agent_api.http.responses import Response

# A 304 would have to give the length of the 200 that it stands for (RFC 9110 section 8.6).
_WITHOUT_LENGTH = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_TEMPLATE = re.compile(r"\\\{(\w+)\\\}")  # as re.escape leaves a {name}


def compile_operations(specification: Specification, resolver: HandlerResolver) -> list[Operation]:
    """Return the contract's operations; raises ContractError where the handlers do not fit."""
    operations: list[Operation] = []
    for path, item in specification["paths"].items():
        for method in METHODS & item.keys():
            source = specification.operation_cls.from_spec(
                specification, path=path, method=method, resolver=resolver
            )
            try:
                operations.append(Operation(source))
            except ValueError as error:  # a kind of parameter or status that the frame cannot read
                raise ContractError(f"{source.operation_id}: {error}") from error
    ids = [operation.operation_id for operation in operations]
    if doubles := {name for name in ids if ids.count(name) > 1}:
        raise ContractError(f"operationIds used twice: {', '.join(sorted(doubles))}")
    resolver.check(operations)
    return operations


class Router:
    """Finds the operations of a path: a dictionary for plain ones, a pattern for each template."""

    def __init__(self, operations: list[Operation]) -> None:
        self._plain: dict[str, dict[str, Operation]] = {}
        templates: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            table = templates if "{" in operation.path else self._plain
            table.setdefault(operation.path, {})[operation.method] = operation
        self._patterns = [
            (re.compile(_TEMPLATE.sub(r"(?P<\1>[^/]+)", re.escape(path))), methods)
            for path, methods in templates.items()
        ]

    def find(self, path: str, method: str) -> tuple[Operation, dict[str, str]] | None:
        """Return the operation and its path parameters, or None for a path outside the contract.

        Raises MethodNotAllowed. HEAD is answered wherever GET is (RFC 9110 section 9.3.2).
        """
        methods, arguments = self._plain.get(path), {}
        if methods is None:
            for pattern, candidate in self._patterns:
                if match := pattern.fullmatch(path):
                    methods, arguments = candidate, match.groupdict()
                    break
            else:
                return None
        operation = methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise MethodNotAllowed(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
        return operation, arguments


class ContractMiddleware(SpecMiddleware):  # type: ignore[misc]  # connexion ships no types
    """The operations of the contract as an ASGI application around `app`.

    Who calls, and what the answer is, a subclass says: by tokens and handlers, or by examples.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self.app = app
        self._max_body_bytes = max_body_bytes
        self.operations: list[Operation] = []
        self._router = Router([])

    @abstractmethod
    async def authenticate(self, operation: Operation, headers: Headers) -> Principal | None:
        """Return who calls, or None where the operation is open; raises Unauthorized."""

    @abstractmethod
    async def answer(self, call: Call) -> Response:
        """Return the checked answer."""

    def add_api(self, specification: Specification, *, resolver: HandlerResolver, **_: Any) -> None:
        """Compile the contract; Connexion calls this when the application starts."""
        self.operations = compile_operations(specification, resolver)
        self._router = Router(self.operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an operation's request; pass everything else on."""
        found = scope["type"] == "http" and self._router.find(scope["path"], scope["method"])
        if not found:
            await self.app(scope, receive, send)
            return
        operation, path_arguments = found
        scope[OPERATION_ID] = operation.operation_id
        scope[ROUTE] = operation.path
        scope[STATUSES] = operation.statuses
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        principal = await self.authenticate(operation, headers)
        if principal is not None:
            scope[USER_ID] = principal.user_id
        arguments = operation.arguments(path_arguments, scope["query_string"], headers, principal)
        key = arguments.pop(IDEMPOTENCY_KEY, None)
        if_none_match = arguments.pop(IF_NONE_MATCH, None)
        try:
            raw_body = await self._read_body(operation, headers, scope, receive)
        except body.ClientDisconnected:
            return
        call = Call(operation, arguments, raw_body, headers, principal, key, scope)
        response = await self.answer(call)
        if if_none_match is not None:
            response = preconditions.apply_if_none_match(response, if_none_match)
        await _send(response, scope, receive, send)

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


async def _send(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the answer; HEAD gets the headers that GET would (RFC 9110 section 9.3.2)."""
    if not isinstance(response.body, bytes):
        await _send_stream(response, scope, receive, send)
        return
    headers = [(name.lower().encode(), v.encode("latin-1")) for name, v in response.headers.items()]
    if response.media_type:
        headers.append((b"content-type", response.media_type.encode()))
    if response.status not in _WITHOUT_LENGTH:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    content = b"" if scope["method"] == "HEAD" else response.body
    await send({"type": "http.response.body", "body": content})


async def _send_stream(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send what the body yields until it or the client ends; HEAD gets none of it."""
    content = response.body if scope["method"] != "HEAD" else iter(())
    answer = StreamingResponse(content, response.status, response.headers, response.media_type)
    try:
        await answer(scope, receive, send)
    finally:  # at once: garbage collection may come to an abandoned generator much later
        if isinstance(response.body, AsyncGenerator):
            await response.body.aclose()
        elif isinstance(response.body, Generator):
            await asyncio.to_thread(response.body.close)
