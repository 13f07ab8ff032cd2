"""Compiles an operation of the contract: security, arguments, handler, response."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from connexion.operations import AbstractOperation
from starlette.types import Scope

from agent_api.auth.principal import Principal
from agent_api.contract import strict_json
from agent_api.contract.parameters import Parameter, parse_query
from agent_api.contract.schema import Schema
from agent_api.contract.security import read_security
from agent_api.contract.spec import ContractError
from agent_api.http import etag, problems
from agent_api.http.responses import Response
from db.engine import bridge

MAX_BYTES_FOR_ALL_ERRORS = 16 * 1024
"""Bodies up to this size get all validation errors; larger ones only the first."""

IDEMPOTENCY_KEY = "idempotency_key"
IF_NONE_MATCH = "if_none_match"
"""Arguments of headers that the middleware handles. Handlers do not get them."""

Headers = dict[bytes, list[bytes]]


class Request(NamedTuple):
    """A request to an operation. Everything but the body is validated."""

    operation: "Operation"
    arguments: dict[str, Any]
    raw_body: bytes | None
    headers: Headers
    principal: Principal | None
    idempotency_key: str | None
    scope: Scope


class ResponseDefinition:
    """The compiled response object of one status."""

    def __init__(self, response: Mapping[str, Any]) -> None:
        content = response.get("content", {}).get("application/json")
        headers = response.get("headers", {})
        required = {name for name, header in headers.items() if header.get("required")}
        self.schema = Schema(content["schema"]) if content else None
        self.required_headers = frozenset(required - {"X-Request-Id", "ETag"})
        """The headers that a handler must set."""
        self.has_etag = "ETag" in headers


class ResponseBreaksContract(Exception):
    """The response of a handler does not match the contract. This is a bug."""


class Operation:
    """An operation and its handler."""

    def __init__(self, source: AbstractOperation) -> None:
        self.source = source
        self.method: str = source.method.upper()
        self.path: str = source.path
        self.operation_id: str = source.operation_id
        self.handler: Callable[..., Any] = source.function
        self.is_async = inspect.iscoroutinefunction(self.handler)
        self.parameters = [Parameter(p) for p in source.parameters]
        self.takes_secret = any(parameter.is_secret for parameter in self.parameters)
        """Whether the path contains a secret. All texts that are not one get the same response."""
        self._reads_query = any(parameter.place == "query" for parameter in self.parameters)
        self.has_body: bool = source.is_request_body_defined
        self.body_required: bool = source.request_body.get("required", False)
        self._body_schema = (
            Schema(source.request_body["content"]["application/json"]["schema"])
            if self.has_body
            else None
        )
        self._body_ids = (
            self._body_schema.properties_with_format("uuid") if self._body_schema else []
        )
        self._responses = {
            int(status): ResponseDefinition(response)
            for status, response in source.responses.items()
        }
        self.statuses = frozenset(self._responses)
        self.requires_token, self.lease_use = read_security(source)
        self._takes_principal = "principal" in inspect.signature(self.handler).parameters

    def check_signature(self) -> None:
        """Raise ContractError unless the handler takes the contract's arguments.

        Handlers of operations with a token may omit `principal`.
        """
        required = {parameter.argument for parameter in self.parameters}
        if IDEMPOTENCY_KEY in required and (not self.requires_token or self.is_async):
            raise ContractError(
                f"{self.operation_id}: Idempotency-Key requires a token and a handler without async"
            )
        required -= {IDEMPOTENCY_KEY, IF_NONE_MATCH}
        required |= {"body"} if self.has_body else set()
        allowed = required | ({"principal"} if self.requires_token else set())
        taken = inspect.signature(self.handler).parameters.keys()
        if not required <= taken <= allowed:
            raise ContractError(
                f"{self.operation_id}: the contract has the arguments {sorted(allowed)}, "
                f"but the handler takes {sorted(taken)}"
            )

    def read_arguments(
        self, path: Mapping[str, str], query: bytes, headers: Headers, principal: Principal | None
    ) -> dict[str, Any]:
        """Return all arguments except the body, or raise ValidationFailed."""
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
        """Return the validated body, or an empty object for a missing optional one.

        UUIDs in its properties are in lower case, so equal ones are equal strings.
        Raises BadRequest and ValidationFailed.
        """
        assert self._body_schema is not None
        if not raw:
            if self.body_required:
                raise problems.BadRequest("Missing body: send a JSON object.")
            return {}
        value = strict_json.parse(raw)
        if not self._body_schema.is_valid(value):
            is_large = len(raw) > MAX_BYTES_FOR_ALL_ERRORS
            errors_of = self._body_schema.first_error if is_large else self._body_schema.errors
            raise problems.ValidationFailed(errors_of(value, "body"))
        for name in self._body_ids:
            if given := value.get(name):
                is_one = isinstance(given, str)
                value[name] = given.lower() if is_one else [each.lower() for each in given]
        return value

    def with_body(self, arguments: dict[str, Any], raw_body: bytes | None) -> dict[str, Any]:
        """Return all arguments of the handler, including the validated body."""
        if raw_body is None:
            return arguments
        return arguments | {"body": bridge.off_loop(len(raw_body), self.parse_body, raw_body)}

    def run(self, arguments: dict[str, Any], raw_body: bytes | None) -> Response:
        """Validate the body, call the handler and validate its response."""
        return self.to_response(self.handler(**self.with_body(arguments, raw_body)))

    async def run_async(self, arguments: dict[str, Any], raw_body: bytes | None) -> Response:
        """Do the same as `run` for a coroutine function."""
        return self.to_response(await self.handler(**self.with_body(arguments, raw_body)))

    def to_response(self, result: Any) -> Response:
        """Return the validated response of a handler, with its body as JSON bytes.

        Streams are not validated. Raises ResponseBreaksContract if status, headers or body do not
        match the contract.
        """
        response = result if isinstance(result, Response) else Response(200, result)
        if response.status not in self._responses:
            raise ResponseBreaksContract(f"{self.operation_id}: unknown status {response.status}")
        body = response.body
        if not isinstance(body, bytes) and isinstance(body, Iterator | AsyncIterator):
            return response
        size = len(body) if isinstance(body, bytes) else 0
        size += sum(map(len, response.extra_members.values()))
        return bridge.off_loop(size, self._validated, response)

    def _validated(self, response: Response) -> Response:
        definition = self._responses[response.status]
        if missing := definition.required_headers - response.headers.keys():
            raise ResponseBreaksContract(f"{self.operation_id}: missing headers {sorted(missing)}")
        if definition.schema is None:
            return Response(response.status, b"", response.headers, "")
        body = response.body
        text = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = response.with_extra_members(text)
        if not definition.schema.is_valid_json(sent):
            errors = definition.schema.first_error(orjson.loads(sent), "response")
            raise ResponseBreaksContract(f"{self.operation_id}: {errors}")
        headers = (
            {**response.headers, "ETag": etag.of(text)} if definition.has_etag else response.headers
        )
        return Response(response.status, sent, headers, response.media_type)
