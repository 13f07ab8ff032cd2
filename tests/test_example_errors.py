"""The real server returns every example of an error, word for word."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from sqlalchemy import make_url

from tests.calls import at_once
from tests.servers import Server, sign, start_server
from tests.story import CLAIMED, MARIA, OPERATIONS, Play
from tests.wire import Wire, head
from tests.workers import SCOPE, new_agent

PROBLEMS = {
    (status, name)
    for operation in OPERATIONS.values()
    for status, examples in operation.responses.items()
    for name in examples
    if status >= 400
}


class Errors:
    """Causes each error of the examples that a client can cause."""

    def __init__(self, server: Server, play: Play, bob: httpx.Client) -> None:
        self.play, self.maria, self.bob = play, play.client, bob
        self.url = server.url
        self.conversation = play.cast.replace("019cadd3-7914-7a6a-8d23-f082128b2f33")
        self.run = play.cast.replace("019cadd3-c2e6-70ed-b36f-675c81e74ef5")
        self.messages = f"/conversations/{self.conversation}/messages"

    def worker(self) -> dict[str, str]:
        """Return the headers of the worker after it has claimed the second run."""
        self.play.until("claim_run", "claimed")
        return self.play.as_worker()

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
            case 403, "other_run":
                other = self.maria.post("/runs", json={"agent_id": "document-agent"}).json()["id"]
                return self.maria.get(f"/runs/{other}", headers=self.worker())
            case 403, "lease":
                return self.maria.get("/runs", headers=self.worker())
            case 403, "scope":
                return self.maria.post("/runs/claim", json={"agent_ids": ["document-agent"]})
            case 403, "lease_expired":
                headers = self.worker()
                run = self.play.cast.real[CLAIMED["run"]["id"]]
                self.maria.patch(f"/runs/{run}", json={"status": "failed"})
                return self.maria.get(f"/runs/{run}", headers=headers)
            case 403, "conversation":
                return self.bob.get(f"/conversations/{self.conversation}")
            case 404, "conversation":
                self.maria.delete(f"/conversations/{self.conversation}")
                return self.maria.get(f"/conversations/{self.conversation}")
            case 404, "link":
                links = f"/conversations/{self.conversation}/links"
                made = self.maria.post(links, json={}).json()
                self.maria.delete(f"{links}/{made['id']}")
                return httpx.get(f"{self.url}/shared/{made['secret']}")
            case 405, "method":
                return self.maria.post("/healthz")
            case 409, "busy":
                new = {"agent_id": "document-agent", "conversation_id": self.conversation}
                self.maria.post("/runs", json=new)
                return self.maria.post("/runs", json=new | {"if_busy": "reject"})
            case 409, "members":
                shares = f"/conversations/{self.conversation}/shares"
                answers = [
                    self.maria.post(shares, json={"user_id": f"member {n}", "role": "viewer"})
                    for n in range(101)
                ]
                assert {each.status_code for each in answers[:-1]} == {201}
                return answers[-1]
            case 409, "links":
                links = f"/conversations/{self.conversation}/links"
                answers = [self.maria.post(links, json={}) for _ in range(101)]
                assert {each.status_code for each in answers[:-1]} == {201}
                return answers[-1]
            case 409, "ended":
                return self.maria.patch(f"/runs/{self.run}", json={"status": "running"})
            case 410, "old":
                end = self.maria.get("/changes").json()["last_sequence"]
                return self.maria.get("/changes", params={"after": end + 1})
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
            case 429, "streams":
                run = self.maria.post("/runs", json={"agent_id": "document-agent"}).json()["id"]
                path = f"/runs/{run}/events/stream"
                limits = httpx.Limits(max_connections=101)
                options: Any = {"base_url": self.url, "headers": self.maria.headers}
                with httpx.Client(**options, limits=limits) as many, ExitStack() as stack:
                    for _ in range(100):
                        stack.enter_context(many.stream("GET", path))
                    return many.get(path)
            case 429, "claims":
                worker = {"Authorization": f"Bearer {sign('a busy worker', scope=SCOPE)}"}
                claim: Any = {"json": {"agent_ids": [new_agent()], "wait_seconds": 5}}
                options = {"base_url": self.url, "headers": worker, "timeout": 30}
                with httpx.Client(**options, limits=httpx.Limits(max_connections=101)) as many:
                    responses = at_once([partial(many.post, "/runs/claim", **claim)] * 101)
                (one_more,) = [each for each in responses if each.status_code != 204]
                return one_more
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


@pytest.mark.slow  # plays the whole story, with more than one server
def test_every_error_that_a_client_can_cause_equals_its_example(
    server: Server, new_client: Callable[..., httpx.Client]
) -> None:
    for status, name in sorted(PROBLEMS - ELSEWHERE):
        play = Play(new_client()).until("get_run", "succeeded")

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
    lines = (b"Content-Type: application/json", b"Content-Length: 28")
    with Wire(strict_server) as wire:
        wire.send(head("POST /conversations", *lines) + b'{"title": "Compare')
        response = wire.receive("POST")

    assert response.problem(408) == example_of(408, "body")
    assert response.headers["connection"] == "close"


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
    new_migrated_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_migrated_database()
    responses = {}
    with (
        start_server(url, tmp_path, statement_timeout_ms="1000") as server,
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
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                [database],
            )
            responses[503, "database"] = client.get("/conversations")
            responses[503, "away"] = client.get("/readyz")

    assert set(responses) == FAULTS
    for (status, name), response in responses.items():
        assert response.status_code == status, response.text
        assert response.json() == example_of(status, name)
