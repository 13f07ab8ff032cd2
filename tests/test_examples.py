"""Every example of the contract is true: its story is played on the real server, word for word.

The examples tell of maria.keller. Here a new user plays her part. The ids and times that the server
makes differ from hers, but one of hers must always stand for the same one of theirs.
"""

import base64
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from sqlalchemy import make_url

from db import schema
from tests.contract import CONTRACT
from tests.servers import Server, sign, start_server

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


def resolved(node: Any) -> Any:
    while "$ref" in node:
        found: Any = CONTRACT
        for step in node["$ref"].split("/")[1:]:
            found = found[step]
        node = found
    return node


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
        self.requests = {name: e["value"] for name, e in self.body.get("examples", {}).items()}
        self.responses = {int(s): resolved(response) for s, response in node["responses"].items()}
        self.success = min(self.responses)
        self.links: dict[str, Any] = self.responses[self.success].get("links", {})
        self.answers = self.examples(self.success)

    def examples(self, status: int) -> dict[str, Any]:
        (content,) = self.responses[status].get("content", {"": {}}).values()
        return {name: example["value"] for name, example in content.get("examples", {}).items()}

    def parameter_examples(self, place: str) -> dict[str, Any]:
        return {p["name"]: p["example"] for p in self.parameters if p["in"] == place}


OPERATIONS = {
    operation.id: operation
    for path, item in CONTRACT["paths"].items()
    for operation in (Operation(path, method) for method in METHODS if method in item)
}
WITH_BODY = [operation for operation in OPERATIONS.values() if operation.body]
ANSWERS = [(o.id, name) for o in OPERATIONS.values() for name in o.answers]
LINKS = [(operation.id, name) for operation in OPERATIONS.values() for name in operation.links]
PROBLEMS = sorted(
    {
        (status, name)
        for operation in OPERATIONS.values()
        for status in operation.responses
        if status >= 400
        for name in operation.examples(status)
    }
)


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


NewPlay = Callable[[], Play]


@pytest.fixture
def new_play(new_client: Callable[..., httpx.Client]) -> NewPlay:
    """Call it for the story with a new user in Maria's part."""

    def make() -> Play:
        client = new_client()
        user_id = client.get("/users/me/chat-settings").json()["user_id"]
        return Play(client, user_id)

    return make


@pytest.fixture
def whole_play(new_play: NewPlay) -> Play:
    return new_play().until(*STORY[-1])


def test_the_story_tells_every_example_once() -> None:
    assert sorted(scene for scene in STORY if scene[1]) == sorted(ANSWERS)
    asked = [(operation.id, name) for operation in WITH_BODY for name in operation.requests]
    assert set(asked) <= set(STORY)


@pytest.mark.parametrize(("operation_id", "name"), ANSWERS)
def test_answer_is_the_example(operation_id: str, name: str, new_play: NewPlay) -> None:
    play = new_play().until(operation_id, name)

    response = play.answers[operation_id, name]
    assert response.status_code == OPERATIONS[operation_id].success, response.text
    assert response.json() == play.expected[operation_id, name]


def test_ids_and_times_of_the_story_stand_for_one_each(whole_play: Play) -> None:
    assert len(set(whole_play.cast.real.values())) == len(whole_play.cast.real)
    times = whole_play.cast.times()
    assert times == sorted(times)


def test_deleting_ends_the_story(whole_play: Play) -> None:
    response = whole_play.answers["delete_conversation", ""]
    assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.id)
def test_example_of_the_body_schema_is_accepted(operation: Operation, new_play: NewPlay) -> None:
    play = new_play().until("get_run", "succeeded")
    example = resolved(operation.body["schema"])["example"]

    response = play.send(operation, {}, example)

    assert response.status_code == operation.success, response.text


@pytest.mark.parametrize(
    ("operation", "name"),
    [(o, name) for o in OPERATIONS.values() for name in o.parameter_examples("query")],
    ids=lambda value: value.id if isinstance(value, Operation) else None,
)
def test_example_of_a_parameter_is_accepted(
    operation: Operation, name: str, new_play: NewPlay
) -> None:
    play = new_play().until("get_run", "succeeded")
    example = operation.parameter_examples("query")[name]

    response = play.send(operation, {name: play.cast.act(example)}, None)

    assert response.status_code == 200, response.text


@pytest.mark.parametrize(("operation_id", "name"), LINKS)
def test_link_leads_on(operation_id: str, name: str, new_play: NewPlay) -> None:
    operation = OPERATIONS[operation_id]
    link = operation.links[name]
    target = OPERATIONS[link["operationId"]]
    play = new_play().until(operation_id, next(iter(operation.answers)))
    answer = play.answers[operation_id, next(iter(operation.answers))].json()

    values = {key: taken(answer, expression) for key, expression in link["parameters"].items()}
    response = play.client.request(
        target.method,
        target.path.format_map(values),
        params={key: value for key, value in values.items() if f"{{{key}}}" not in target.path},
        json=play.cast.act(next(iter(target.requests.values()), None)),
    )

    assert response.status_code == target.success, response.text


def taken(answer: Any, expression: str) -> Any:
    """Return what a link's runtime expression takes from an answer."""
    source, pointer = expression.split("#/")
    assert source == "$response.body"
    for step in pointer.split("/"):
        answer = answer[int(step)] if isinstance(answer, list) else answer[step]
    return answer


class Mishaps:
    """One way to meet each example of an error that a client can bring about."""

    def __init__(self, server: Server, play: Play, bob: httpx.Client) -> None:
        self.maria, self.bob = play.client, bob
        self.url = server.url
        self.conversation = play.cast.act("019cadd3-7914-7a6a-8d23-f082128b2f33")
        self.run = play.cast.act("019cadd3-c2e6-70ed-b36f-675c81e74ef5")
        self.messages = f"/conversations/{self.conversation}/messages"

    def meet(self, status: int, name: str) -> httpx.Response:
        json_type = {"Content-Type": "application/json"}
        message = {"role": "user", "content": "Which costs less?"}
        match status, name:
            case 400, "not_json":
                cut_off = '{"role": "user", "content": "Compare the two'
                return self.maria.post(self.messages, content=cut_off, headers=json_type)
            case 401, "missing":
                return httpx.get(f"{self.url}/conversations")
            case 401, "expired":
                yesterday = {"Authorization": f"Bearer {sign(MARIA, seconds=-86400)}"}
                return httpx.get(f"{self.url}/conversations", headers=yesterday)
            case 403, "conversation":
                return self.bob.get(f"/conversations/{self.conversation}")
            case 404, "conversation":
                self.maria.delete(f"/conversations/{self.conversation}")
                return self.maria.get(f"/conversations/{self.conversation}")
            case 405, "method":
                return self.maria.post("/healthz")
            case 409, "ended":
                return self.maria.patch(f"/runs/{self.run}", json={"status": "running"})
            case 412, "stale":
                path = f"/conversations/{self.conversation}"
                read = self.maria.get(path)
                self.maria.patch(path, json={"title": "Leases"})
                unseen = {"If-Match": read.headers["etag"]}
                return self.maria.patch(path, json={"is_private": True}, headers=unseen)
            case 413, "body":
                large = message | {"content": "x" * 10 * 1024 * 1024}
                return self.maria.post(self.messages, json=large)
            case 415, "form":
                return self.maria.post(self.messages, data=message)
            case 422, "parameter":
                return self.maria.get("/conversations", params={"limit": 101})
            case 422, "id":
                return self.maria.get(f"/conversations/{self.conversation[:-1]}g")
            case 422, "body":
                attachment = {"name": "lease.pdf", "type": "application/pdf", "url": "s3://lease"}
                wrong = message | {"role": "human", "attachments": [attachment]}
                return self.maria.post(self.messages, json=wrong)
            case 422, "key":
                key = {"Idempotency-Key": "one-key-for-two-messages"}
                self.maria.post(self.messages, json=message, headers=key)
                other = message | {"content": "Which is nearer?"}
                return self.maria.post(self.messages, json=other, headers=key)
            case 422, "reference":
                bobs = self.bob.post("/runs", json={"agent_id": "document-agent"}).json()["id"]
                return self.maria.post(self.messages, json=message | {"run_id": bobs})
        raise AssertionError(f"say here how a client meets the {status} called {name}")


SETTINGS = {(429, "limit")}
"""What takes a server with another setting."""

FAULTS = {(500, "fault"), (503, "database"), (504, "statement")}
"""What no client brings about: something has to be wrong with the database."""

IN_PROGRESS = {(409, "in_progress")}
"""What takes two requests at once: tests/test_idempotency.py brings it about."""

SLOW = {(408, "body")}
"""What takes a client time, and a server without patience."""


def example_of(status: int, name: str) -> Any:
    """Return the example of an error, which all operations that can give it share."""
    found = [
        operation.examples(status)[name]
        for operation in OPERATIONS.values()
        if status in operation.responses and name in operation.examples(status)
    ]
    assert found
    assert all(example == found[0] for example in found)
    return found[0]


ELSEWHERE = FAULTS | IN_PROGRESS | SETTINGS | SLOW


@pytest.mark.parametrize(("status", "name"), [p for p in PROBLEMS if p not in ELSEWHERE])
def test_problem_is_the_example(
    status: int, name: str, server: Server, new_play: NewPlay, bob: httpx.Client
) -> None:
    play = new_play().until("get_run", "succeeded")

    response = Mishaps(server, play, bob).meet(status, name)

    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == example_of(status, name)


def test_a_slow_body_is_the_example(database_url: str, tmp_path: Path) -> None:
    def half() -> Iterator[bytes]:
        yield b'{"title": "Compare'
        time.sleep(3)
        yield b' the two"}'

    with (
        start_server(database_url, tmp_path, client_timeout_seconds="1") as server,
        server.client(MARIA) as client,
    ):
        response = client.post(
            "/conversations", content=half(), headers={"Content-Type": "application/json"}
        )

    assert {(408, "body")} == SLOW
    assert response.status_code == 408, response.text
    assert response.headers["connection"] == "close"
    assert response.json() == example_of(408, "body")


def test_problem_of_a_limited_server_is_the_example(database_url: str, tmp_path: Path) -> None:
    maria = f"{MARIA}-{uuid.uuid4()}"
    with (
        start_server(database_url, tmp_path, rate_limit_per_minute="600") as server,
        server.client(maria) as client,
    ):
        assert client.get("/conversations").status_code == 200
        with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
            # Empty, and since a time to come: it does not fill meanwhile.
            cursor.execute(
                "UPDATE rate_limits SET tokens = 0, updated_at = now() + interval '1 hour' "
                "WHERE user_id = %s",
                [maria],
            )
            other.commit()
        response = client.get("/conversations")

    assert response.status_code == 429
    assert response.json() == example_of(429, "limit")
    assert response.headers["retry-after"] == "1"


def test_faults_of_the_database_are_the_examples(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    schema.upgrade(url)
    answers = {}
    with (
        start_server(url, tmp_path, statement_timeout_ms="300") as server,
        server.client(MARIA) as client,
    ):
        with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
            cursor.execute("LOCK TABLE conversations")
            answers[504, "statement"] = client.get("/conversations")

            cursor.execute("ALTER TABLE conversations ALTER created_at DROP DEFAULT")
            cursor.execute("ALTER TABLE conversations ALTER created_at TYPE text")
            other.commit()
            answers[500, "fault"] = client.get("/conversations")

        with closing(psycopg2.connect(url, dbname="postgres")) as other, other.cursor() as cursor:
            other.autocommit = True
            database = make_url(url).database
            cursor.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [database],
            )
            answers[503, "database"] = client.get("/conversations")

    assert set(answers) == FAULTS
    for (status, name), response in answers.items():
        assert response.status_code == status, response.text
        assert response.json() == example_of(status, name)
