"""The sweep that lets runs continue that wait for no other run."""

from collections.abc import Callable
from typing import Any

import pytest

from db import runs
from db.engine import Connection
from db.execution import busy, waiting_runs
from tests import distributed
from tests.db.rows import insert_conversation, insert_run, value


@pytest.fixture(scope="module")
def database_url(new_migrated_database: Callable[[], str]) -> str:
    """A database in which no server sweeps: only one session at a time does."""
    url = new_migrated_database()
    distributed.distribute(url)
    return url


def queue(connection: Connection, user: str, conversation_id: str) -> str:
    """Create a run that waits if the conversation is busy."""
    new: dict[str, Any] = {"conversation_id": conversation_id, "status": "pending"}
    waits = busy.apply_policy(connection, if_busy="queue", user_id=user, **new)
    return insert_run(connection, user, **new, waits=waits)


def end_as_1_0(connection: Connection, run: str) -> None:
    """End a run like a server that does not know waiting runs."""
    end = "UPDATE runs SET status = 'succeeded', finished_at = now() WHERE id = %(run)s"
    connection.execute(end, {"run": run}).close()


def queued(connection: Connection, *among: str) -> list[str]:
    """Return those of the runs that workers can claim."""
    query = "SELECT array_agg(run_id::text) FROM run_queue WHERE run_id::text = ANY (%(it)s)"
    return value(connection, query, {"it": list(among)}) or []


def test_run_whose_predecessor_a_1_0_server_has_ended_continues(
    connection: Connection, user: str, conversation_id: str
) -> None:
    first = insert_run(connection, user, conversation_id=conversation_id, status="running")
    second, third = (queue(connection, user, conversation_id) for _ in range(2))
    waiting_runs.run()
    assert queued(connection, second, third) == []

    end_as_1_0(connection, first)
    waiting_runs.run()
    assert queued(connection, second, third) == [second]

    runs.update(connection, run_id=second, user_id=user, changes={"status": "cancelled"})
    assert queued(connection, second, third) == [third]


def test_later_run_does_not_keep_a_waiting_one_from_continuing(
    connection: Connection, user: str, conversation_id: str
) -> None:
    first = insert_run(connection, user, conversation_id=conversation_id, status="running")
    second = queue(connection, user, conversation_id)
    insert_run(connection, user, conversation_id=conversation_id, status="running")

    end_as_1_0(connection, first)
    waiting_runs.run()

    assert queued(connection, second) == [second]


def test_run_whose_conversation_a_1_0_server_has_deleted_continues(
    connection: Connection, user: str, conversation_id: str
) -> None:
    insert_run(connection, user, conversation_id=conversation_id, status="running")
    second = queue(connection, user, conversation_id)
    delete = "UPDATE runs SET conversation_id = NULL WHERE conversation_id = %(it)s"
    connection.execute(delete, {"it": conversation_id}).close()

    waiting_runs.run()

    assert queued(connection, second) == [second]


@pytest.mark.parametrize("most", [1, 2, 1000])
def test_all_waiting_runs_are_read_in_steps(connection: Connection, user: str, most: int) -> None:
    found = []
    for number in range(3):
        conversation_id = insert_conversation(connection, f"{user} {number}")
        new = {"conversation_id": conversation_id, "status": "running"}
        first = insert_run(connection, f"{user} {number}", **new)
        found.append(queue(connection, f"{user} {number}", conversation_id))
        if number != 1:
            end_as_1_0(connection, first)

    waiting_runs.run(most=most)

    assert set(queued(connection, *found)) == {found[0], found[2]}
