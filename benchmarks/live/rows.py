"""The rows that streams follow: running runs of many users, and conversations to compare with."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import orjson
import psycopg2

from benchmarks.growth.rows import QUESTION, row_id
from benchmarks.workload import Call, raw_requests

RUN, CONVERSATION = 9100, 9200
RUNS_OF_A_USER = 10
WORD = {"type": "text.delta", "data": {"text": "grew "}}
MESSAGE = orjson.dumps({"role": "user", "content": QUESTION})

_ID = "('00000000-0000-7000-%(kind)s-' || lpad(n::text, 12, '0'))::uuid"
_USER = f"'user ' || n / {RUNS_OF_A_USER}"
_RUNS = f"""
INSERT INTO runs (id, agent_id, status, created_by, started_at)
SELECT {_ID}, 'analyst', 'running', {_USER}, now() FROM generate_series(0, %(count)s - 1) AS n
"""
_CONVERSATIONS = f"""
INSERT INTO conversations (id, title, user_id)
SELECT {_ID}, 'To be written to', {_USER} FROM generate_series(0, %(count)s - 1) AS n
"""


def fill(url: str, *, runs: int, conversations: int) -> None:
    """Insert the rows, numbered from 0."""
    _execute(url, _RUNS, kind=RUN, count=runs)
    _execute(url, _CONVERSATIONS, kind=CONVERSATION, count=conversations)
    _execute(url, "VACUUM ANALYZE")


def _execute(url: str, statement: str, **values: Any) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values)


def follow(runs: Sequence[int], after: Mapping[int, int]) -> list[bytes]:
    """Return a request for the stream of each run, after the number of one of its events."""
    calls = (Call(_user(n), f"/runs/{row_id(RUN, n)}/events/stream?after={after[n]}") for n in runs)
    return raw_requests(list(calls))


def append(runs: Sequence[int], *, events: int = 1) -> list[bytes]:
    """Return a request for each run that appends so many events."""
    body = orjson.dumps({"events": [WORD] * events})
    return raw_requests([Call(_user(n), f"/runs/{row_id(RUN, n)}/events", body) for n in runs])


def create_message(conversations: Sequence[int]) -> list[bytes]:
    """Return a request for each conversation that creates a message."""
    calls = (
        Call(_user(n), f"/conversations/{row_id(CONVERSATION, n)}/messages", MESSAGE)
        for n in conversations
    )
    return raw_requests(list(calls))


def positions(url: str) -> dict[int, int]:
    """Return the number of the last event of each run, by the number of the run."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT right(id::text, 12)::int, last_sequence FROM runs")
        return dict(cursor.fetchall())


def _user(number: int) -> str:
    return f"user {number // RUNS_OF_A_USER}"
