"""Tests of pooled connections that PostgreSQL closed while they were idle."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.calls import new_conversation, read_all

TERMINATE = """
SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'agent-api'
"""
LEFT = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'agent-api'
"""


def ask(database: Any, statement: str) -> int:
    with database.cursor() as cursor:
        cursor.execute(statement)
        (number,) = cursor.fetchone()
        return int(number)


@pytest.fixture
def idle_timeout(database: Any) -> Iterator[None]:
    """Let PostgreSQL close new sessions of this database after 0.2 s without a statement."""
    name = database.info.dbname
    with database.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" SET idle_session_timeout = 200')
        cursor.execute(TERMINATE)
        yield
        cursor.execute(f'ALTER DATABASE "{name}" RESET idle_session_timeout')
        cursor.execute(TERMINATE)


def test_requests_succeed_after_their_connections_were_terminated(
    alice: httpx.Client, database: Any
) -> None:
    new_conversation(alice)
    assert ask(database, TERMINATE) > 0

    new_conversation(alice)

    assert len(read_all(alice, "/conversations")) == 2


def test_requests_succeed_after_the_idle_session_timeout(
    alice: httpx.Client, database: Any, idle_timeout: None
) -> None:
    new_conversation(alice)
    deadline = time.monotonic() + 30
    while ask(database, LEFT):
        assert time.monotonic() < deadline, "PostgreSQL did not close the idle sessions"
        time.sleep(0.05)
    headers = {"Idempotency-Key": "after-the-timeout"}

    response = alice.post("/conversations", json={}, headers=headers)

    assert response.status_code == 201, response.text
