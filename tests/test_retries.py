"""Retries of a POST with an Idempotency-Key, during the first request and after failures."""

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import pytest

from db import sweeps
from tests.calls import at_once, attempts, new_conversation, read
from tests.contract import CONTRACT, Operation, Rows, assert_problem, make_rows, resolved
from tests.posting import assert_same_response, count, each_post, execute, new_key
from tests.servers import Server

CLIENTS = 12


@contextmanager
def locked_tables(database: Any) -> Iterator[None]:
    """Block writes to the tables of every POST until the block ends."""
    with database.cursor() as cursor:
        cursor.execute(
            "BEGIN; LOCK TABLE conversations, messages, runs, chat_attachments IN SHARE MODE"
        )
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def wait_for_blocked_session(database: Any) -> int:
    """Wait until the session of a request that has locked its key waits; return its process id.

    A sweep may also wait, for the leases of other tests. It has another lock.
    """
    deadline = time.monotonic() + 60
    # The text of its query does not always name the user: preparing a statement waits, too.
    query = (
        "SELECT min(pid) FROM pg_locks AS waiting JOIN pg_locks AS held USING (pid)"
        " JOIN pg_stat_activity USING (pid)"
        " WHERE NOT waiting.granted AND datname = current_database()"
        " AND held.locktype = 'advisory' AND held.granted AND held.classid <> %s"
    )
    while (pid := execute(database, query, sweeps.LOCK >> 32)) is None:
        assert time.monotonic() < deadline, "no session waits for a lock"
        time.sleep(0.01)
    found: int = pid
    return found


# Concurrent requests


@each_post
def test_key_of_a_running_request_is_a_conflict(
    operation: Operation, new_client: Callable[..., httpx.Client], database: Any
) -> None:
    user_id, key = f"user-{uuid.uuid4()}", new_key()
    first, second = new_client(user_id), new_client(user_id)
    rows = make_rows(first)
    before = count(first, operation, rows)
    answers: list[httpx.Response] = []
    send = partial(operation.send, rows=rows, headers=key)
    waiting = threading.Thread(target=lambda: answers.append(send(first)))

    with locked_tables(database):
        waiting.start()
        wait_for_blocked_session(database)
        conflict = send(second)
        others = second.get(operation.url(rows)).status_code
    waiting.join(30)
    again = send(second)

    problem = assert_problem(conflict, 409)
    answer = CONTRACT["components"]["responses"]["RequestInProgress"]
    examples = answer["content"]["application/problem+json"]["examples"]
    assert problem == resolved(examples["in_progress"])["value"]
    assert int(conflict.headers["retry-after"]) >= 1
    assert others == 200
    assert_same_response(answers[0], again)
    assert count(first, operation, rows) == before + 1


@each_post
def test_concurrent_posts_with_one_key_create_one_row(
    operation: Operation, new_client: Callable[..., httpx.Client]
) -> None:
    user_id, key = f"user-{uuid.uuid4()}", new_key()
    clients = [new_client(user_id) for _ in range(CLIENTS)]
    rows = make_rows(clients[0])
    before = count(clients[0], operation, rows)

    answers = at_once([partial(operation.send, c, rows, headers=key) for c in clients])

    made = [answer for answer in answers if answer.status_code == 201]
    for answer in made:
        assert_same_response(made[0], answer)
    for answer in answers:
        if answer not in made:
            assert_problem(answer, 409)
    assert_same_response(made[0], operation.send(clients[0], rows, headers=key))
    assert count(clients[0], operation, rows) == before + 1


# Rejected and failed requests


def test_rejected_requests_do_not_use_up_their_key(alice: httpx.Client, bob: httpx.Client) -> None:
    key, body = new_key(), {"role": "user", "content": "Hello"}
    path = f"/conversations/{new_conversation(alice)['id']}/messages"
    bobs = f"/conversations/{new_conversation(bob)['id']}/messages"
    nobodys = f"/conversations/{uuid.uuid4()}/messages"
    send = partial(alice.post, headers=key)

    refused = [
        send(nobodys, json=body),
        send(bobs, json=body),
        send(path, json=body | {"role": "nobody"}),
        send(path, json=body | {"run_id": str(uuid.uuid4())}),
        send(path, content=b"{"),
    ]
    made, again = send(path, json=body), send(path, json=body)

    assert [answer.status_code for answer in refused] == [404, 403, 422, 422, 415]
    assert_same_response(made, again)
    assert read(alice, path)["total"] == 1


@each_post
def test_retry_after_a_lost_database_connection_creates_one_row(
    operation: Operation, alice: httpx.Client, rows: Rows, database: Any
) -> None:
    before, key = count(alice, operation, rows), new_key()
    answers: list[httpx.Response] = []
    send = partial(operation.send, alice, rows, headers=key)
    waiting = threading.Thread(target=lambda: answers.append(send()))

    with locked_tables(database):
        waiting.start()
        pid = wait_for_blocked_session(database)
        execute(database, "SELECT pg_terminate_backend(%s)", pid)
        waiting.join(30)
    first, again = send(), send()

    assert_problem(answers[0], 503)
    assert_same_response(first, again)
    assert count(alice, operation, rows) == before + 1


# Clients that lose their connection


@contextmanager
def cutting_proxy(server: Server, passed_on: int) -> Iterator[str]:
    """Yield the URL of a proxy for one request that passes on only part of the response."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client, socket.create_connection((host, int(port)), timeout=30) as upstream:
                while b"\r\n\r\n" not in (request := client.recv(65536, socket.MSG_PEEK)):
                    time.sleep(0.01)
                head, _, _ = request.partition(b"\r\n\r\n")
                (length,) = [
                    int(line.partition(b":")[2])
                    for line in head.lower().splitlines()
                    if line.startswith(b"content-length")
                ]
                remaining = len(head) + 4 + length
                while remaining:
                    piece = client.recv(min(remaining, 65536))
                    upstream.sendall(piece)
                    remaining -= len(piece)
                response = b""
                # A complete response means that the transaction is committed.
                while b"\r\n\r\n" not in response or not response.endswith(b"}"):
                    response += upstream.recv(65536)
                client.sendall(response[:passed_on])

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("passed_on", [0, 12, 400])
@each_post
def test_retry_after_a_truncated_response_creates_one_row(
    operation: Operation, alice: httpx.Client, rows: Rows, server: Server, passed_on: int
) -> None:
    before, key = count(alice, operation, rows), new_key()
    body = operation.body(rows)

    with (
        cutting_proxy(server, passed_on) as url,
        httpx.Client(base_url=url, headers=alice.headers, verify=False, timeout=30) as cut_off,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        cut_off.post(operation.url(rows), json=body, headers=key)
    after_cut = count(alice, operation, rows)
    retried = operation.send(alice, rows, headers=key)

    assert after_cut == before + 1
    assert retried.status_code == 201
    assert alice.get(retried.headers["location"]).json()["id"] == retried.json()["id"]
    assert count(alice, operation, rows) == before + 1


def test_retry_after_hanging_up_creates_one_row(alice: httpx.Client, server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    path = f"/conversations/{new_conversation(alice)['id']}/messages"

    repeats = attempts(3, 10)
    for _ in range(repeats):
        request = alice.build_request(
            "POST", path, json={"role": "user", "content": "Hello"}, headers=new_key()
        )
        lines = [f"POST {path} HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())]
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + request.content)
        answer = alice.send(request)
        while answer.status_code == 409:
            time.sleep(0.01)
            answer = alice.send(request)
        assert answer.status_code == 201

    assert read(alice, path)["total"] == repeats
