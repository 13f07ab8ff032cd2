"""The real server returns every example of the contract, word for word."""

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

import migrations
from db import schema
from tests.contract import resolved
from tests.servers import Server, sign, start_server
from tests.story import MARIA, OPERATIONS, STORY, Play, parameter_examples

LINKS = [
    (operation, link) for operation in OPERATIONS.values() for link in operation.links.values()
]
PROBLEMS = {
    (status, name)
    for operation in OPERATIONS.values()
    for status, examples in operation.responses.items()
    for name in examples
    if status >= 400
}

NewPlay = Callable[[], Play]


@pytest.fixture
def new_play(new_client: Callable[..., httpx.Client]) -> NewPlay:
    """Call it to play the story as another new user."""

    def make() -> Play:
        client = new_client()
        user_id = client.get("/users/me/chat-settings").json()["user_id"]
        return Play(client, user_id)

    return make


def test_story_contains_every_example_once() -> None:
    of_responses = [
        (o.operation_id, n) for o in OPERATIONS.values() for n in o.responses[o.success]
    ]
    of_requests = [(o.operation_id, name) for o in OPERATIONS.values() for name in o.requests]

    assert sorted(scene for scene in STORY if scene[1]) == sorted(of_responses)
    assert set(of_requests) <= set(STORY)


def test_every_response_of_the_story_equals_its_example(new_play: NewPlay) -> None:
    play = new_play().until(*STORY[-1])

    assert {scene: response.status_code for scene, response in play.responses.items()} == {
        scene: OPERATIONS[scene[0]].success for scene in STORY
    }
    for scene, expected in play.expected.items():
        assert play.responses[scene].json() == expected, scene
    assert play.responses["delete_conversation", ""].content == b""
    # Each id and time of the examples stands for another real one, in the same order.
    assert len(set(play.cast.real.values())) == len(play.cast.real)
    times = play.cast.times()
    assert times == sorted(times)


def test_examples_of_body_schemas_are_accepted(new_play: NewPlay) -> None:
    for operation in OPERATIONS.values():
        if operation.has_body:
            play = new_play().until("get_run", "succeeded")
            response = play.send(operation, {}, operation.body_schema["example"])
            assert response.status_code == operation.success, (
                operation.operation_id,
                response.text,
            )


def test_every_property_of_an_update_is_updated(new_play: NewPlay) -> None:
    for operation in OPERATIONS.values():
        if not operation.operation_id.startswith("update_"):
            continue
        properties = operation.body_schema["properties"]
        for name in properties.keys() - {"status"}:  # a run has its own rules for it
            play = new_play().until("get_run", "succeeded")
            before = play.send(operation, {}, {}).json()[name]
            value = changed(properties[name], before)

            after = play.send(operation, {}, {name: value})

            assert after.status_code == operation.success, (operation.operation_id, after.text)
            assert after.json()[name] == value, (operation.operation_id, name)


def changed(schema: dict[str, Any], value: Any) -> Any:
    """Return a value of the schema other than `value`."""
    schema = resolved(schema)
    if "allOf" in schema:
        return changed(schema["allOf"][0], value)
    match schema.get("type"):
        case "boolean":
            return not value
        case "integer" | "number":
            return schema["minimum"] if value != schema["minimum"] else schema["maximum"]
        case "array":
            return [] if value else [str(uuid.uuid4())]
        case "string":
            return f"another {uuid.uuid4()}"
    return {"another": str(uuid.uuid4())}


def test_examples_of_query_parameters_are_accepted(new_play: NewPlay) -> None:
    play = new_play().until("get_run", "succeeded")
    for operation in OPERATIONS.values():
        for name, example in parameter_examples(operation, "query").items():
            response = play.send(operation, {name: example}, None)
            assert response.status_code == 200, (operation.operation_id, name, response.text)


def test_every_link_leads_to_its_operation(new_play: NewPlay) -> None:
    for operation, link in LINKS:
        target = OPERATIONS[link["operationId"]]
        scene = (operation.operation_id, next(iter(operation.responses[operation.success])))
        play = new_play().until(*scene)
        source = play.responses[scene].json()

        values = {key: evaluated(source, value) for key, value in link["parameters"].items()}
        response = play.client.request(
            target.method,
            target.path.format_map(values),
            params={key: value for key, value in values.items() if f"{{{key}}}" not in target.path},
            json=play.cast.replace(next(iter(target.requests.values()), None)),
        )

        assert response.status_code == target.success, (scene, target.operation_id, response.text)


def evaluated(body: Any, expression: str) -> Any:
    """Return the value of a link's runtime expression in a response body."""
    source, pointer = expression.split("#/")
    assert source == "$response.body"
    for step in pointer.split("/"):
        body = body[int(step)] if isinstance(body, list) else body[step]
    return body


class Errors:
    """Causes each error of the examples that a client can cause."""

    def __init__(self, server: Server, play: Play, bob: httpx.Client) -> None:
        self.maria, self.bob = play.client, bob
        self.url = server.url
        self.conversation = play.cast.replace("019cadd3-7914-7a6a-8d23-f082128b2f33")
        self.run = play.cast.replace("019cadd3-c2e6-70ed-b36f-675c81e74ef5")
        self.messages = f"/conversations/{self.conversation}/messages"

    def cause(self, status: int, name: str) -> httpx.Response:
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
        raise AssertionError(f"add a case that causes the {status} called {name}")


FAULTS = {(500, "fault"), (503, "database"), (503, "away"), (504, "statement")}
"""The errors that need a fault of the database."""

ELSEWHERE = FAULTS | {(408, "body"), (409, "in_progress"), (429, "limit")}
"""The errors of other tests; tests/test_retries.py has the one that needs two requests at once."""


def example_of(status: int, name: str) -> Any:
    """Return the example of an error, which all operations share."""
    found = [
        operation.responses[status][name]
        for operation in OPERATIONS.values()
        if name in operation.responses.get(status, {})
    ]
    assert found
    assert all(example == found[0] for example in found)
    return found[0]


def test_every_error_that_a_client_can_cause_equals_its_example(
    server: Server, new_play: NewPlay, new_client: Callable[..., httpx.Client]
) -> None:
    for status, name in sorted(PROBLEMS - ELSEWHERE):
        play = new_play().until("get_run", "succeeded")

        response = Errors(server, play, new_client()).cause(status, name)

        assert response.status_code == status, (name, response.text)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json() == example_of(status, name)


@pytest.fixture(scope="module")
def strict_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a client timeout of one second and a rate limit."""
    settings = {"client_timeout_seconds": "1", "rate_limit_per_minute": "600"}
    with start_server(database_url, tmp_path_factory.mktemp("strict"), **settings) as running:
        yield running


@pytest.mark.process
def test_408_of_a_slow_body_equals_its_example(strict_server: Server) -> None:
    def half() -> Iterator[bytes]:
        yield b'{"title": "Compare'
        time.sleep(3)
        yield b' the two"}'

    with strict_server.client(MARIA) as client:
        response = client.post(
            "/conversations", content=half(), headers={"Content-Type": "application/json"}
        )

    assert response.status_code == 408, response.text
    assert response.headers["connection"] == "close"
    assert response.json() == example_of(408, "body")


@pytest.mark.process
def test_429_over_the_rate_limit_equals_its_example(
    strict_server: Server, database_url: str
) -> None:
    maria = f"{MARIA}-{uuid.uuid4()}"
    with strict_server.client(maria) as client:
        assert client.get("/conversations").status_code == 200
        with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
            # A time in the future, so that no token arrives before the request.
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


@pytest.mark.process
def test_errors_by_faults_of_the_database_equal_their_examples(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
    responses = {}
    with (
        start_server(url, tmp_path, statement_timeout_ms="300") as server,
        server.client(MARIA) as client,
    ):
        with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
            cursor.execute("LOCK TABLE conversations")
            responses[504, "statement"] = client.get("/conversations")

            cursor.execute("ALTER TABLE conversations ALTER created_at DROP DEFAULT")
            cursor.execute("ALTER TABLE conversations ALTER created_at TYPE text")
            other.commit()
            responses[500, "fault"] = client.get("/conversations")

        with closing(psycopg2.connect(url, dbname="postgres")) as other, other.cursor() as cursor:
            other.autocommit = True
            database = make_url(url).database
            cursor.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [database],
            )
            responses[503, "database"] = client.get("/conversations")
            responses[503, "away"] = client.get("/readyz")

    assert set(responses) == FAULTS
    for (status, name), response in responses.items():
        assert response.status_code == status, response.text
        assert response.json() == example_of(status, name)
