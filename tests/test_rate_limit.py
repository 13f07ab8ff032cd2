"""A server with a rate limit: how many requests each user gets, and the 429 afterwards."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import http_sf
import httpx
import psutil
import psycopg2
import pytest
from sqlalchemy import make_url

from tests.calls import NOBODYS_ID, at_once, read
from tests.contract import SECURED, Operation, assert_problem, make_rows, name_of
from tests.processes import wait_until
from tests.servers import Server, start_server

pytestmark = pytest.mark.process

BURST = 20
ORIGIN = "https://chat.example.org"
FIELDS = ("ratelimit", "ratelimit-policy")


@pytest.fixture(scope="module")
def limited(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers, and buckets that gain one token a minute: hardly any within a test."""
    with start_server(
        database_url,
        tmp_path_factory.mktemp("limited"),
        *("--workers", "2"),
        rate_limit_per_minute="1",
        rate_limit_burst=str(BURST),
        cors_origins=ORIGIN,
    ) as server:
        yield server


@pytest.fixture
def user(limited: Server) -> Iterator[httpx.Client]:
    """A user whose bucket is full."""
    with limited.client(f"user-{uuid.uuid4()}") as client:
        yield client


def field(response: httpx.Response, name: str) -> dict[str, int]:
    """Return the parameters of a header field, a list of one string (RFC 9651)."""
    parsed: Any = http_sf.parse(response.headers[name].encode(), tltype="list")
    ((policy, parameters),) = parsed
    assert policy == "user"
    assert all(type(number) is int for number in parameters.values())
    return dict(parameters)


def left(response: httpx.Response) -> int:
    return field(response, "ratelimit")["r"]


def empty(client: httpx.Client) -> httpx.Response:
    """Send requests until one is refused, and return its response."""
    for _ in range(2 * BURST):
        response = client.get("/users/me/chat-settings")
        if response.status_code != 200:
            return response
    raise AssertionError("no request was refused")


def test_request_after_a_full_burst_is_a_429_with_retry_after(user: httpx.Client) -> None:
    answers = [user.get("/conversations") for _ in range(BURST)]
    refused = user.post("/conversations", json={})

    assert [answer.status_code for answer in answers] == [200] * BURST
    assert [left(answer) for answer in answers] == list(reversed(range(BURST)))
    assert assert_problem(refused, 429)["type"] == "/problems/too-many-requests"
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 60
    assert field(refused, "ratelimit") == {"r": 0, "t": wait}
    for answer in (*answers, refused):
        assert field(answer, "ratelimit-policy") == {"q": BURST, "w": BURST * 60}
        assert 1 <= field(answer, "ratelimit")["t"] <= 60


def test_request_over_the_limit_has_no_effect(user: httpx.Client, server: Server) -> None:
    empty(user)

    assert_problem(user.post("/conversations", json={}), 429)

    token = {"Authorization": user.headers["Authorization"]}
    with httpx.Client(base_url=server.url, headers=token, verify=False) as unlimited:
        assert read(unlimited, "/conversations")["total"] == 0


@pytest.mark.parametrize("operation", SECURED, ids=name_of)
def test_every_operation_with_a_token_is_limited(
    operation: Operation, user: httpx.Client, server: Server
) -> None:
    token = {"Authorization": user.headers["Authorization"]}
    with httpx.Client(base_url=server.url, headers=token, verify=False) as unlimited:
        rows = make_rows(unlimited)

    answer = operation.send(user, rows)
    empty(user)
    refused = operation.send(user, rows)

    expected = 403 if operation.tag == "workers" else operation.success
    assert answer.status_code == expected, answer.text
    assert left(answer) == BURST - 1
    assert_problem(refused, 429)


def test_each_user_has_a_separate_limit(limited: Server, user: httpx.Client) -> None:
    empty(user)

    with limited.client(f"other-{uuid.uuid4()}") as other:
        assert left(other.get("/conversations")) == BURST - 1


def test_workers_share_one_limit(limited: Server) -> None:
    name = f"user-{uuid.uuid4()}"
    clients: list[httpx.Client] = []
    with ExitStack() as stack:

        def are_connected_to_both() -> bool:
            clients.append(stack.enter_context(limited.client(name)))
            assert clients[-1].get("/healthz").status_code == 200
            return len(clients) >= 3 * BURST and connected_workers(limited) == 2

        wait_until(are_connected_to_both)
        started = time.monotonic()

        answers = at_once([partial(client.get, "/conversations") for client in clients])

    passed = [left(answer) for answer in answers if answer.status_code == 200]
    assert BURST <= len(passed) <= BURST + (time.monotonic() - started) // 60
    assert {answer.status_code for answer in answers} == {200, 429}
    assert len(set(passed)) == len(passed), "two requests were given the same token"


def connected_workers(server: Server) -> int:
    """Return how many of the worker processes have connections of clients."""
    workers = psutil.Process(server.process.pid).children(recursive=True)
    port = make_url(server.url).port
    return sum(is_connected(worker, port) for worker in workers)


def is_connected(process: psutil.Process, port: int | None) -> bool:
    """Tell whether a client is connected to the process by `port`."""
    return any(
        connection.laddr.port == port and connection.status == psutil.CONN_ESTABLISHED
        for connection in process.net_connections("tcp")
    )


def test_head_counts_like_get(user: httpx.Client) -> None:
    first, second = user.head("/conversations"), user.get("/conversations")

    assert (left(first), left(second)) == (BURST - 1, BURST - 2)
    empty(user)
    refused = user.head("/conversations")
    assert refused.status_code == 429
    assert left(refused) == 0
    assert refused.headers["retry-after"]


def test_requests_that_fail_in_the_handler_count(user: httpx.Client) -> None:
    answers = [
        user.get(f"/conversations/{NOBODYS_ID}"),
        user.post("/conversations", json={"title": 5}),
        user.post("/runs", content="{", headers={"Content-Type": "application/json"}),
    ]

    assert [answer.status_code for answer in answers] == [404, 422, 400]
    assert [left(answer) for answer in answers] == [BURST - 1, BURST - 2, BURST - 3]


def test_requests_refused_before_the_handler_do_not_count(
    user: httpx.Client, limited: Server
) -> None:
    answers = [
        user.get("/conversations", params={"limit": 0}),
        user.post("/conversations", data={"title": "a form"}),
        user.put("/conversations"),
        user.get("/nothing"),
        user.get("/healthz"),
        user.get("/readyz"),
        httpx.get(f"{limited.url}/conversations", verify=False),
    ]

    assert [answer.status_code for answer in answers] == [422, 415, 405, 404, 200, 200, 401]
    assert not [name for answer in answers for name in FIELDS if name in answer.headers]
    assert left(user.get("/conversations")) == BURST - 1


def test_get_health_is_not_limited(user: httpx.Client) -> None:
    empty(user)

    assert {user.get("/healthz").status_code for _ in range(2 * BURST)} == {200}


def test_cors_exposes_the_rate_limit_headers(user: httpx.Client) -> None:
    response = user.get("/conversations", headers={"Origin": ORIGIN})

    exposed = response.headers["access-control-expose-headers"].lower().split(", ")
    assert {*FIELDS, "retry-after"} <= set(exposed)


def test_server_without_a_limit_sends_no_rate_limit_headers(alice: httpx.Client) -> None:
    answers = [alice.get("/conversations") for _ in range(2 * BURST)]

    assert {answer.status_code for answer in answers} == {200}
    assert not [name for answer in answers for name in FIELDS if name in answer.headers]


@pytest.mark.slow
def test_request_after_retry_after_succeeds_and_an_unavailable_database_is_a_503(
    new_migrated_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = new_migrated_database()
    with (
        start_server(
            url,
            tmp_path_factory.mktemp("patience"),
            rate_limit_per_minute="30",
            rate_limit_burst="1",
        ) as server,
        server.client("patient") as patient,
    ):
        first = patient.get("/conversations")
        refused = patient.get("/conversations")
        time.sleep(int(refused.headers["retry-after"]))
        second = patient.get("/conversations")
        assert [r.status_code for r in (first, refused, second)] == [200, 429, 200]
        assert 1 <= int(refused.headers["retry-after"]) <= 2

        with closing(psycopg2.connect(url, dbname="postgres")) as other, other.cursor() as cursor:
            other.autocommit = True
            name = make_url(url).database
            cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )
        away = patient.get("/conversations")
        assert_problem(away, 503)
        assert away.headers["retry-after"] == "1"
