"""One operation of the contract, compiled once from Connexion's operation object."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from connexion.operations import AbstractOperation
from starlette.types import Scope

from agent_api.auth.principal import Principal
from agent_api.contract import body
from agent_api.contract.parameters import Parameter, parse_query
from agent_api.contract.schema import Schema
from agent_api.contract.spec import ContractError
from agent_api.http import etag, problems
from agent_api.http.responses import Response

BYTES_TO_EXPLAIN = 16 * 1024
"""Of a body whose broken rules are all listed; of a larger one only the first is."""

IDEMPOTENCY_KEY = "idempotency_key"
"""The argument that the header Idempotency-Key becomes; it is the frame's, and no handler's."""

IF_NONE_MATCH = "if_none_match"
"""The same for If-None-Match, which the frame compares with the answer's ETag."""

Headers = dict[bytes, list[bytes]]


class Call(NamedTuple):
    """One request: what it asks for, checked but for the body's bytes, and who asks."""

    operation: "Operation"
    arguments: dict[str, Any]
    raw_body: bytes | None
    headers: Headers
    principal: Principal | None
    idempotency_key: str | None
    scope: Scope


class Answer:
    """The response object of one status, compiled."""

    def __init__(self, response: Mapping[str, Any]) -> None:
        content = response.get("content", {}).get("application/json")
        headers = response.get("headers", {})
        required = {name for name, header in headers.items() if header.get("required")}
        self.schema = Schema(content["schema"]) if content else None
        self.headers = frozenset(required - {"X-Request-Id", "ETag"})
        """Those that a handler must give."""
        self.has_etag = "ETag" in headers


class ResponseBreaksContract(Exception):
    """A handler's answer is not what the contract says: a defect of ours."""


class Operation:
    """What the server does for one method and path: security, arguments, handler, answer."""

    def __init__(self, source: AbstractOperation) -> None:
        self.source = source
        self.method: str = source.method.upper()
        self.path: str = source.path
        self.operation_id: str = source.operation_id
        self.handler: Callable[..., Any] = source.function
        self.is_async = inspect.iscoroutinefunction(self.handler)
        self.parameters = [Parameter(p) for p in source.parameters]
        self._reads_query = any(parameter.place == "query" for parameter in self.parameters)
        self.has_body: bool = source.is_request_body_defined
        self.body_required: bool = source.request_body.get("required", False)
        self._body_schema = (
            Schema(source.request_body["content"]["application/json"]["schema"])
            if self.has_body
            else None
        )
        self._responses = {
            int(status): Answer(response) for status, response in source.responses.items()
        }
        self.statuses = frozenset(self._responses)
        self.requires_token = _requires_token(source)
        self._takes_principal = "principal" in inspect.signature(self.handler).parameters

    def check_signature(self) -> None:
        """Raise ContractError where the handler does not take just what the contract gives."""
        given = {parameter.argument for parameter in self.parameters}
        if IDEMPOTENCY_KEY in given and (not self.requires_token or self.is_async):
            raise ContractError(
                f"{self.operation_id}: a key needs a user, and a handler in a thread"
            )
        given -= {IDEMPOTENCY_KEY, IF_NONE_MATCH}
        given |= {"body"} if self.has_body else set()
        taken = inspect.signature(self.handler).parameters
        wanted = given | ({"principal"} if self.requires_token else set())
        if set(taken) - {"principal"} != given or not set(taken) <= wanted:
            raise ContractError(
                f"{self.operation_id}: the contract gives {sorted(wanted)}, "
                f"but the handler takes {sorted(taken)}"
            )

    def arguments(
        self, path: Mapping[str, str], query: bytes, headers: Headers, principal: Principal | None
    ) -> dict[str, Any]:
        """Return the arguments but the body; raises ValidationFailed for wrong ones."""
        arguments: dict[str, Any] = {}
        errors: list[dict[str, str]] = []
        fields = parse_query(query) if self._reads_query else {}
        for parameter in self.parameters:
            name = parameter.name
            if parameter.place == "query":
                values = fields.get(name, [])
            elif parameter.place == "path":
                values = [path[name]]
            else:
                values = [raw.decode("latin-1") for raw in headers.get(name.lower().encode(), [])]
            arguments[parameter.argument] = parameter.read(values, errors)
        if errors:
            raise problems.ValidationFailed(errors)
        if self._takes_principal:
            arguments["principal"] = principal
        return arguments

    def parse_body(self, raw: bytes) -> Any:
        """Return the body's value; an absent optional one is an empty object."""
        assert self._body_schema is not None
        if not raw:
            if self.body_required:
                raise problems.BadRequest("The body is missing: send a JSON object.")
            return {}
        value = body.parse(raw)
        if not self._body_schema.is_valid(value):
            is_large = len(raw) > BYTES_TO_EXPLAIN
            explain = self._body_schema.first_error if is_large else self._body_schema.errors
            raise problems.ValidationFailed(explain(value, "body"))
        return value

    def with_body(self, arguments: dict[str, Any], raw_body: bytes | None) -> dict[str, Any]:
        """Return all of the handler's arguments, the body validated."""
        return arguments if raw_body is None else arguments | {"body": self.parse_body(raw_body)}

    def run(self, arguments: dict[str, Any], raw_body: bytes | None) -> Response:
        """Validate the body, call the handler and check its answer: all of it in one thread."""
        return self.checked(self.handler(**self.with_body(arguments, raw_body)))

    async def run_async(self, arguments: dict[str, Any], raw_body: bytes | None) -> Response:
        """Do as `run` does, for a coroutine function, on the event loop."""
        return self.checked(await self.handler(**self.with_body(arguments, raw_body)))

    def checked(self, result: Any) -> Response:
        """Return the answer with its body as bytes, or as the iterator that streams them.

        Raises ResponseBreaksContract where the contract does not know the status or the shape.
        """
        response = result if isinstance(result, Response) else Response(200, result)
        if response.status not in self._responses:
            raise ResponseBreaksContract(f"{self.operation_id}: status {response.status}")
        body = response.body
        if not isinstance(body, bytes) and isinstance(body, Iterator | AsyncIterator):
            return response
        answer = self._responses[response.status]
        if missing := answer.headers - response.headers.keys():
            raise ResponseBreaksContract(f"{self.operation_id}: no header {sorted(missing)}")
        if answer.schema is None:
            return Response(response.status, b"", response.headers, "")
        text = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = response.with_extra_members(text)
        if not answer.schema.is_valid_json(sent):
            errors = answer.schema.first_error(orjson.loads(sent), "response")
            raise ResponseBreaksContract(f"{self.operation_id}: {errors}")
        headers = (
            {**response.headers, "ETag": etag.of(text)} if answer.has_etag else response.headers
        )
        return Response(response.status, sent, headers, response.media_type)


def _requires_token(source: AbstractOperation) -> bool:
    """Tell whether callers need a bearer token. Raises ContractError for other schemes."""
    if not source.security:
        return False
    schemes = [source.security_schemes[name] for option in source.security for name in option]
    if len(source.security) != 1 or [s.get("scheme") for s in schemes] != ["bearer"]:
        raise ContractError(f"{source.operation_id}: security must be one bearer scheme, or empty")
    return True
