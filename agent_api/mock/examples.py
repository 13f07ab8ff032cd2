"""Finds the example of the contract that answers a request best."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from connexion.spec import Specification

from agent_api.contract.operation import Operation, ResponseBreaksContract
from agent_api.contract.resolver import HandlerResolver
from agent_api.contract.routing import compile_operations
from agent_api.contract.spec import ContractError, load_contract
from agent_api.http.problems import MEDIA_TYPE, BadRequest
from agent_api.http.responses import Response


class Example(NamedTuple):
    """An answer that the contract shows: its name, its JSON, and the response ready to be sent."""

    name: str
    value: Any
    response: Response


class ExampleResolver(HandlerResolver):
    """Finds no handlers and misses none: a mock can serve what is not built yet."""

    def __init__(self) -> None:
        super().__init__(defaultdict(lambda: _no_handler))

    def check(self, operations: Sequence[Operation]) -> None:
        """Accept every contract."""


def _no_handler() -> None:
    """Stand where a handler would: the mock calls none."""


def check_examples() -> None:
    """Raise ContractError if an example of the contract breaks its schema."""
    collect_examples(Specification.load(load_contract()))


def collect_examples(specification: Specification) -> dict[str, "Examples"]:
    """Return each operation's examples; raises ContractError for one that breaks its schema."""
    operations = compile_operations(specification, ExampleResolver())
    paths = {operation.operation_id: operation.path for operation in operations}
    try:
        return {operation.operation_id: Examples(operation, paths) for operation in operations}
    except ResponseBreaksContract as error:
        raise ContractError(f"an example breaks the contract: {error}") from error


class Examples:
    """The examples of one operation: its answers by status, and its requests by name."""

    def __init__(self, operation: Operation, paths: Mapping[str, str]) -> None:
        self._answers = {
            int(status): list(_answers(operation, int(status), response, paths))
            for status, response in sorted(operation.source.responses.items())
        }
        self._success = next(iter(self._answers.values()))
        content = operation.source.request_body.get("content", {}).get("application/json", {})
        self._requests = {name: e["value"] for name, e in content.get("examples", {}).items()}

    def preferred(self, code: str | None, name: str | None) -> Response:
        """Return the first answer of this status and name; a 400 lists what there is."""
        for status, answers in self._answers.items():
            for answer in answers:
                if code in (None, str(status)) and name in (None, answer.name):
                    return answer.response
        known = "; ".join(
            f"code={status}, example={' or '.join(answer.name for answer in answers)}"
            for status, answers in self._answers.items()
        )
        # Not raised: an operation without a body has no 400 in the contract.
        problem = BadRequest(f"The contract shows no such answer. Prefer one of: {known}.")
        return Response(problem.status, problem.body(), media_type=MEDIA_TYPE)

    def fitting(self, arguments: Mapping[str, Any], body: Any) -> Response:
        """Return the successful answer that goes best with the request, in doubt the first.

        That is the one named as the request's example with which `body` has most in common; the
        last page for a cursor or an offset, so that who pages comes to an end; and for `include_x`
        false the one named `without_x`.
        """
        if body is not None and self._requests:
            name = max(self._requests, key=lambda name: _common(self._requests[name], body))
            return self._first(lambda answer: answer.name == name)
        if arguments.get("cursor") or arguments.get("offset"):
            return self._first(lambda answer: answer.value.get("next_cursor") is None)
        declined = {
            name.replace("include_", "without_", 1)
            for name, value in arguments.items()
            if value is False
        }
        return self._first(lambda answer: not declined or answer.name in declined)

    def _first(self, fits: Callable[[Example], bool]) -> Response:
        return next(filter(fits, self._success), self._success[0]).response


def _answers(
    operation: Operation, status: int, definition: Mapping[str, Any], paths: Mapping[str, str]
) -> Iterator[Example]:
    if "content" not in definition:
        headers = _headers(definition, None, paths)
        yield Example("none", None, operation.to_response(Response(status, headers=headers)))
    for media_type, content in definition.get("content", {}).items():
        for name, example in content["examples"].items():
            value = example["value"]
            headers = _headers(definition, value, paths)
            if media_type == MEDIA_TYPE:  # the frame's own answers, which no handler gives
                response = Response(status, orjson.dumps(value), headers, media_type)
            else:
                body, extra = _split_extra_members(value, content["schema"])
                response = operation.to_response(Response(status, body, headers, media_type, extra))
            yield Example(name, value, response)


def _split_extra_members(value: Any, schema: Mapping[str, Any]) -> tuple[Any, dict[str, bytes]]:
    """Return `value` without its optional members, and their JSON texts, as handlers do."""
    members = [schema, *schema.get("allOf", ())]
    optional = {name for member in members for name in member.get("properties", ())}
    optional.difference_update(*(member.get("required", ()) for member in members))
    if not isinstance(value, dict) or optional.isdisjoint(value):
        return value, {}
    extra = {name: orjson.dumps(value[name]) for name in optional & value.keys()}
    return {name: item for name, item in value.items() if name not in extra}, extra


def _headers(definition: Mapping[str, Any], value: Any, paths: Mapping[str, str]) -> dict[str, str]:
    """Return the headers by their examples; Location leads where the link to get_ does."""
    headers = {
        name: str(header["example"])
        for name, header in definition.get("headers", {}).items()
        if name != "X-Request-Id"
    }
    for link in definition.get("links", {}).values():
        if "Location" in headers and link["operationId"].startswith("get_"):
            ids = {name: value[e.rpartition("/")[2]] for name, e in link["parameters"].items()}
            headers["Location"] = paths[link["operationId"]].format_map(ids)
    return headers


def _common(example: Any, body: Any) -> int:
    """Count what two JSON values share: properties at any depth, twice where they are equal."""
    if not (isinstance(example, dict) and isinstance(body, dict)):
        return 0
    return sum(
        1 + (example[name] == body[name]) + _common(example[name], body[name])
        for name in example.keys() & body.keys()
        if (example[name] is None) == (body[name] is None)
    )
