"""Every example of the contract is true: its story is played on the real server, word for word."""

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
from tests.story import MARIA, OPERATIONS, STORY, Play

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


def test_every_response_example_is_what_the_server_returns(whole_play: Play) -> None:
    for operation_id, name in ANSWERS:
        response = whole_play.answers[operation_id, name]
        place = f"{operation_id} {name}"
        assert response.status_code == OPERATIONS[operation_id].success, (place, response.text)
        assert response.json() == whole_play.expected[operation_id, name], place


def test_ids_and_times_of_the_story_stand_for_one_each(whole_play: Play) -> None:
    assert len(set(whole_play.cast.real.values())) == len(whole_play.cast.real)
    times = whole_play.cast.times()
    assert times == sorted(times)


def test_deleting_ends_the_story(whole_play: Play) -> None:
    response = whole_play.answers["delete_conversation", ""]
    assert (response.status_code, response.content) == (204, b"")


def test_every_body_schemas_example_is_accepted(new_play: NewPlay) -> None:
    for operation in WITH_BODY:
        play = new_play().until("get_run", "succeeded")
        example = resolved(operation.body["schema"])["example"]

        response = play.send(operation, {}, example)

        assert response.status_code == operation.success, (operation.id, response.text)


def test_every_parameters_example_is_accepted(new_play: NewPlay) -> None:
    play = new_play().until("get_run", "succeeded")
    for operation in OPERATIONS.values():
        for name, example in operation.parameter_examples("query").items():
            response = play.send(operation, {name: play.cast.act(example)}, None)

            assert response.status_code == 200, (operation.id, name, response.text)


def test_every_link_leads_to_a_successful_response(new_play: NewPlay) -> None:
    for operation_id, name in LINKS:
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

        assert response.status_code == target.success, (operation_id, name, response.text)


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

FAULTS = {(500, "fault"), (503, "database"), (503, "away"), (504, "statement")}
"""What no client brings about: something has to be wrong with the database."""

IN_PROGRESS = {(409, "in_progress")}
"""What takes two requests at once: tests/test_retries.py brings it about."""

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


def test_every_problem_example_is_what_the_server_returns(
    server: Server, new_play: NewPlay, bob: httpx.Client
) -> None:
    for status, name in PROBLEMS:
        if (status, name) in ELSEWHERE:
            continue
        play = new_play().until("get_run", "succeeded")

        response = Mishaps(server, play, bob).meet(status, name)

        assert response.status_code == status, (name, response.text)
        assert response.headers["content-type"] == "application/problem+json", (status, name)
        assert response.json() == example_of(status, name), (status, name)


@pytest.fixture(scope="module")
def strict_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives clients a second, and ten requests in one."""
    settings = {"client_timeout_seconds": "1", "rate_limit_per_minute": "600"}
    with start_server(database_url, tmp_path_factory.mktemp("strict"), **settings) as running:
        yield running


@pytest.mark.process
def test_a_slow_body_is_the_example(strict_server: Server) -> None:
    def half() -> Iterator[bytes]:
        yield b'{"title": "Compare'
        time.sleep(3)
        yield b' the two"}'

    with strict_server.client(MARIA) as client:
        response = client.post(
            "/conversations", content=half(), headers={"Content-Type": "application/json"}
        )

    assert {(408, "body")} == SLOW
    assert response.status_code == 408, response.text
    assert response.headers["connection"] == "close"
    assert response.json() == example_of(408, "body")


@pytest.mark.process
def test_problem_of_a_limited_server_is_the_example(
    strict_server: Server, database_url: str
) -> None:
    maria = f"{MARIA}-{uuid.uuid4()}"
    with strict_server.client(maria) as client:
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


@pytest.mark.process
def test_faults_of_the_database_are_the_examples(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
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
            answers[503, "away"] = client.get("/readyz")

    assert set(answers) == FAULTS
    for (status, name), response in answers.items():
        assert response.status_code == status, response.text
        assert response.json() == example_of(status, name)
