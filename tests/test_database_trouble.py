"""A database that hangs: each request gets a retryable error within a bounded time.

The server has two connections and a statement timeout of half a second, to fail quickly.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import httpx
import psycopg2
import pytest

from db.engine.connections import backoff
from tests.calls import Json, at_once
from tests.servers import Server, start_server
from tests.silence import Relay

pytestmark = pytest.mark.process

POOL_SIZE = 2
QUEUE_SECONDS, CONNECT_SECONDS, STATEMENT_SECONDS = 5, 5, 1.75
MARGIN = 8
"""Additional seconds for a busy machine."""


@pytest.fixture(scope="module")
def relay(database_url: str) -> Iterator[Relay]:
    with Relay(database_url) as running:
        yield running


@pytest.fixture(scope="module")
def troubled(relay: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_server(
        relay.url,
        tmp_path_factory.mktemp("troubled"),
        pool_size=str(POOL_SIZE),
        statement_timeout_ms="500",
    ) as running:
        yield running


@pytest.fixture
def carol(troubled: Server) -> Iterator[httpx.Client]:
    with troubled.client(f"carol-{time.monotonic_ns()}") as client:
        yield client


def created(client: httpx.Client) -> Json:
    """Create a conversation; on a busy machine this may take longer than the statement timeout."""
    deadline = time.monotonic() + 60
    while (response := client.post("/conversations", json={})).status_code != 201:
        assert_can_be_retried(response, 503, 504)
        assert time.monotonic() < deadline, response.text
    made: Json = response.json()
    return made


@contextmanager
def locked(database_url: str, conversation: Json) -> Iterator[None]:
    """Lock the conversation's row, like a transaction that does not end."""
    holder = psycopg2.connect(database_url)
    try:
        statement = "UPDATE conversations SET title = title WHERE id = %s"
        holder.cursor().execute(statement, (conversation["id"],))
        yield
    finally:
        holder.close()


@contextmanager
def health_watched(server: Server) -> Iterator[None]:
    """Check that /healthz always responds quickly during the block."""
    ended = threading.Event()
    seen: list[tuple[int, float]] = []

    def watch() -> None:
        with httpx.Client(base_url=server.url, timeout=10, verify=False) as client:
            while not ended.wait(0.1):
                response = client.get("/healthz")
                seen.append((response.status_code, response.elapsed.total_seconds()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    assert {status for status, _ in seen} == {200}
    assert max(seconds for _, seconds in seen) < MARGIN


def post(server: Server, user: str, conversation: Json) -> tuple[httpx.Response, float]:
    """Post a message on a new connection; return the response and its seconds."""
    with server.client(user) as client:
        begin = time.monotonic()
        path = f"/conversations/{conversation['id']}/messages"
        response = client.post(path, json={"role": "user", "content": "Hello"})
        return response, time.monotonic() - begin


def at_once_by_many(
    server: Server, user: str, conversation: Json, count: int
) -> list[tuple[httpx.Response, float]]:
    return at_once([partial(post, server, user, conversation)] * count)


def assert_can_be_retried(response: httpx.Response, *statuses: int) -> None:
    assert response.status_code in statuses, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) >= 1


def assert_is_served(server: Server, conversation: Json, seconds: float = MARGIN) -> None:
    """Assert that a message can be posted soon, although some attempts may take too long."""
    deadline = time.monotonic() + seconds
    while (response := post(server, conversation["user_id"], conversation)[0]).status_code != 201:
        assert_can_be_retried(response, 503, 504)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_create_message_to_a_locked_conversation_is_a_504(
    troubled: Server, carol: httpx.Client, database_url: str
) -> None:
    conversation = created(carol)

    with locked(database_url, conversation), health_watched(troubled):
        response = carol.post(
            f"/conversations/{conversation['id']}/messages", json={"role": "user", "content": "Hi"}
        )

    assert_can_be_retried(response, 504)
    assert response.elapsed.total_seconds() < STATEMENT_SECONDS + MARGIN
    assert_is_served(troubled, conversation)


def test_create_message_that_waits_too_long_for_a_connection_is_a_503(
    troubled: Server, carol: httpx.Client, database_url: str
) -> None:
    """64 requests take half a second each, two at a time: the last ones would wait for 16 s."""
    user = created(carol)["user_id"]
    conversation = created(carol)

    with locked(database_url, conversation), health_watched(troubled):
        answers = at_once_by_many(troubled, user, conversation, 64)
        ready = httpx.get(f"{troubled.url}/readyz", timeout=10, verify=False)

    for response, seconds in answers:
        assert_can_be_retried(response, 503, 504)
        assert seconds < QUEUE_SECONDS + STATEMENT_SECONDS + MARGIN
    assert {response.status_code for response, _ in answers} == {503, 504}
    reasons = {response.json()["detail"] for response, _ in answers if response.status_code == 503}
    assert reasons == {"The server is busy. Try again."}
    assert ready.status_code == 200  # busy, but the database works
    assert_is_served(troubled, conversation)


def test_server_seldom_tries_to_connect_while_the_database_refuses(
    troubled: Server, carol: httpx.Client, relay: Relay
) -> None:
    conversation = created(carol)
    user = conversation["user_id"]
    begin = time.monotonic()
    relay.hang_up()

    answers = []
    while time.monotonic() - begin < 2:
        answers += at_once_by_many(troubled, user, conversation, 8)
    attempts = relay.hung_up
    seconds = time.monotonic() - begin
    relay.speak()
    assert_is_served(troubled, conversation, 2 + MARGIN)

    for response, _ in answers:
        assert_can_be_retried(response, 503)
    # The first failures may be simultaneous; then the interval grows to half a second.
    assert attempts <= POOL_SIZE + 5 + seconds / backoff.MOST_SECONDS
    assert len(answers) > 2 * attempts


def test_connections_that_are_closed_after_the_login_are_a_503(
    troubled: Server, carol: httpx.Client, relay: Relay
) -> None:
    conversation = created(carol)
    relay.hang_up_after_login()

    answers = [post(troubled, conversation["user_id"], conversation)[0] for _ in range(40)]
    relay.speak()
    assert_is_served(troubled, conversation)

    for response in answers:
        assert_can_be_retried(response, 503)


@pytest.mark.slow
def test_unresponsive_database_is_a_503_until_it_responds(
    troubled: Server, carol: httpx.Client, relay: Relay
) -> None:
    """Neither pooled connections nor new logins get a response."""
    conversation = created(carol)
    user = conversation["user_id"]
    at_once_by_many(troubled, user, conversation, POOL_SIZE)

    with health_watched(troubled):
        relay.fall_silent()
        answers = at_once_by_many(troubled, user, conversation, 3 * POOL_SIZE)
        ready = httpx.get(f"{troubled.url}/readyz", timeout=20, verify=False)
        relay.speak()
        assert_is_served(troubled, conversation, 2 + MARGIN)

    for response, seconds in answers:
        assert_can_be_retried(response, 503, 504)
        assert seconds < QUEUE_SECONDS + CONNECT_SECONDS + STATEMENT_SECONDS + MARGIN
    assert_can_be_retried(ready, 503)
    assert ready.elapsed.total_seconds() < CONNECT_SECONDS + MARGIN
    assert "database silent" in troubled.log.read_text()
