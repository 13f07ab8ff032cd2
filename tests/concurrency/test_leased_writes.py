"""Writes under a lease that somebody takes away while they wait."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import httpx
import psycopg2
import pytest

from tests import distributed
from tests.calls import Json, messages_of, read
from tests.contract import assert_problem
from tests.live.following import word
from tests.posting import execute
from tests.processes import wait_until
from tests.workers import Claim, Worker, claimed_run

Write = Callable[[Worker, Claim, Json], httpx.Response]

_WAITING = f"""
SELECT count(*) FROM {distributed.ACTIVITY}
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def post_message(worker: Worker, claim: Claim, conversation: Json) -> httpx.Response:
    answer = {"role": "assistant", "content": "Too late"}
    return worker.client.post(messages_of(conversation), json=answer, headers=claim.headers)


def append(worker: Worker, claim: Claim, _: Json) -> httpx.Response:
    body = {"events": [word("Too late")]}
    return worker.client.post(f"{claim.path}/events", json=body, headers=claim.headers)


def set_output(worker: Worker, claim: Claim, _: Json) -> httpx.Response:
    return worker.update(claim, output={"text": "Too late"})


def end(worker: Worker, claim: Claim, _: Json) -> httpx.Response:
    message = {"role": "assistant", "content": "Too late"}
    return worker.update(claim, status="succeeded", message=message)


def heartbeat(worker: Worker, claim: Claim, _: Json) -> httpx.Response:
    return worker.heartbeat(claim)


@pytest.fixture
def claim(alice: httpx.Client, worker: Worker, conversation: Json) -> Claim:
    """A run of Alice's conversation, claimed by the worker."""
    return claimed_run(alice, worker, conversation_id=conversation["id"])


@contextmanager
def locked(database_url: str, claim: Claim) -> Iterator[None]:
    """Lock the row of the run, as another transaction would."""
    with closing(psycopg2.connect(database_url)) as other:
        lock = "SELECT 1 FROM runs WHERE id = %s AND created_by = %s FOR UPDATE"
        execute(other, lock, claim.run["id"], claim.run["created_by"])
        yield


@pytest.mark.parametrize("write", [post_message, append, set_output, end, heartbeat])
def test_write_that_waits_behind_the_end_of_its_run_is_refused(
    write: Write,
    alice: httpx.Client,
    worker: Worker,
    conversation: Json,
    claim: Claim,
    database: Any,
    database_url: str,
) -> None:
    def wait_for_locks(count: int) -> None:
        wait_until(lambda: execute(database, _WAITING) == count, 5)

    with ThreadPoolExecutor(2) as threads:
        with locked(database_url, claim):
            ending = threads.submit(alice.patch, claim.path, json={"status": "failed"})
            wait_for_locks(1)
            writing = threads.submit(write, worker, claim, conversation)
            wait_for_locks(2)
        ended, refused = ending.result(), writing.result()

    assert ended.status_code == 200, ended.text
    assert assert_problem(refused, 403)["type"] == "/problems/lease-expired"
    assert read(alice, claim.path) == ended.json()
    assert read(alice, messages_of(conversation))["messages"] == []


@pytest.mark.parametrize("write", [post_message, append, set_output, end, heartbeat])
def test_write_that_comes_before_the_end_of_its_run_is_stored(
    write: Write,
    alice: httpx.Client,
    worker: Worker,
    conversation: Json,
    claim: Claim,
    database: Any,
    database_url: str,
) -> None:
    with ThreadPoolExecutor(1) as threads:
        with locked(database_url, claim):
            writing = threads.submit(write, worker, claim, conversation)
            wait_until(lambda: execute(database, _WAITING) == 1, 5)
        written = writing.result()

    assert written.status_code < 300, written.text
