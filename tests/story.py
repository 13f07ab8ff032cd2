"""The story that the examples of the contract tell, and how it is played on a server.

The examples tell of maria.keller; a new user plays her part. The ids and times that the server
makes differ from hers, but one of hers must always stand for the same one of theirs.
"""

import base64
import re
from typing import Any

import httpx

from tests.contract import CONTRACT, resolved

METHODS = ("get", "put", "post", "delete", "patch")
MARIA = "maria.keller"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

CURSOR = re.compile(r"WyJ")  # ["

STORY: list[tuple[str, str]] = [
    ("get_health", "ok"),
    ("get_readiness", "ready"),
    ("get_chat_settings", "defaults"),
    ("update_chat_settings", "save"),
    ("get_chat_settings", "saved"),
    ("create_conversation", "chat"),
    ("create_message", "question"),
    ("create_run", "pending"),
    ("update_run", "start"),
    ("create_message", "flat_decision"),
    ("create_message", "nested_decision"),
    ("update_run", "succeed"),
    ("create_message", "agentic_decision"),
    ("get_run", "succeeded"),
    ("list_runs", "page"),
    ("list_conversations", "page"),
    ("get_conversation", "with_messages"),
    ("get_conversation", "without_messages"),
    ("list_messages", "page"),
    ("list_messages", "last_page"),
    ("get_message", "flat_decision"),
    ("update_conversation", "rename"),
    ("update_conversation", "make_private"),
    ("update_chat_settings", "reset"),
    ("delete_conversation", ""),
]
"""The operations in the order of the story, with the name of the example that each one gives."""

QUERIES = {
    "last_page": {"cursor": CONTRACT["components"]["parameters"]["MessageCursor"]["example"]},
    "with_messages": {"include_messages": True},
    "without_messages": {"include_messages": False},
}
"""The queries that examples' summaries name; the others have those of the parameters' examples."""


def _values(content: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the examples by their names."""
    examples = content.get("examples", {})
    return {name: resolved(example)["value"] for name, example in examples.items()}


class Operation:
    """An operation with its examples, as the contract has them."""

    def __init__(self, path: str, method: str) -> None:
        item = CONTRACT["paths"][path]
        node = item[method]
        given = [*item.get("parameters", []), *node.get("parameters", [])]
        self.id: str = node["operationId"]
        self.path, self.method = path, method.upper()
        self.parameters = [resolved(parameter) for parameter in given]
        self.body = node.get("requestBody", {}).get("content", {}).get("application/json", {})
        self.requests = _values(self.body)
        self.responses = {int(s): resolved(response) for s, response in node["responses"].items()}
        self.success = min(self.responses)
        links = self.responses[self.success].get("links", {})
        self.links = {name: resolved(link) for name, link in links.items()}
        self.answers = self.examples(self.success)

    def examples(self, status: int) -> dict[str, Any]:
        (content,) = self.responses[status].get("content", {"": {}}).values()
        return _values(content)

    def parameter_examples(self, place: str) -> dict[str, Any]:
        return {p["name"]: p["example"] for p in self.parameters if p["in"] == place}


OPERATIONS = {
    operation.id: operation
    for path, item in CONTRACT["paths"].items()
    for operation in (Operation(path, method) for method in METHODS if method in item)
}


class Cast:
    """Who plays whom: the ids, times and the user of the examples, and the real ones."""

    def __init__(self, user_id: str) -> None:
        self.real = {MARIA: user_id}

    def act(self, value: Any) -> Any:
        """Return an example as the players say it."""
        match value:
            case dict():
                return {name: self.act(item) for name, item in value.items()}
            case list():
                return [self.act(item) for item in value]
            case str() if value in self.real:
                return self.real[value]
            case str() if CURSOR.match(value):
                return self._cursor(value)
        return value

    def _cursor(self, example: str) -> str:
        """Return the cursor with the real ids and times: it says where its page ended."""
        text = base64.urlsafe_b64decode(example + "=" * (-len(example) % 4)).decode()
        for one, other in self.real.items():
            text = text.replace(one, other)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def learn(self, example: Any, answer: Any) -> None:
        """Take the ids and times that stand where the example has new ones as theirs."""
        match example, answer:
            case dict(), dict():
                for name in example.keys() & answer.keys():
                    self.learn(example[name], answer[name])
            case list(), list():
                for one, other in zip(example, answer, strict=False):
                    self.learn(one, other)
            case str(), str():
                for kind in (UUID, TIME):
                    if kind.fullmatch(example) and kind.fullmatch(answer):
                        self.real.setdefault(example, answer)

    def times(self) -> list[str]:
        """Return the real times in the order of the story's."""
        return [self.real[time] for time in sorted(self.real) if TIME.fullmatch(time)]


class Play:
    """The story as far as it was played: the answer to each example, and what was expected."""

    def __init__(self, client: httpx.Client, user_id: str) -> None:
        self.client = client
        self.cast = Cast(user_id)
        self.answers: dict[tuple[str, str], httpx.Response] = {}
        self.expected: dict[tuple[str, str], Any] = {}

    def until(self, operation_id: str, example: str) -> "Play":
        """Play the story up to and including the named example."""
        for scene in STORY:
            self._play(*scene)
            if scene == (operation_id, example):
                return self
        raise AssertionError(f"the story does not tell {example or 'an answer'} of {operation_id}")

    def _play(self, operation_id: str, name: str) -> None:
        operation = OPERATIONS[operation_id]
        body = operation.requests.get(name)
        response = self.send(operation, QUERIES.get(name, {}), body)
        self.answers[operation_id, name] = response
        if name and response.status_code == operation.success:
            self.cast.learn(operation.answers[name], response.json())
            self.expected[operation_id, name] = self.cast.act(operation.answers[name])

    def send(self, operation: Operation, query: dict[str, Any], body: Any) -> httpx.Response:
        """Send a request of the cast; what `query` leaves out has its parameter's example."""
        path = operation.path.format_map(self.cast.act(operation.parameter_examples("path")))
        examples = self.cast.act(operation.parameter_examples("query"))
        examples.pop("cursor", None)  # it leads to a later page
        return self.client.request(
            operation.method,
            path,
            params=examples | self.cast.act(query),
            json=None if body is None else self.cast.act(body),
        )
