"""The sweep that handles expired leases and runs that waited in vain, on a database of its own."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

from db import engine, errors
from db.execution import expiry
from tests import distributed
from tests.db.rows import insert_run, value
from tests.processes import wait_until

USER = "alice"


@pytest.fixture(scope="module")
def url(new_migrated_database: Callable[[], str]) -> str:
    """A database without other expired leases."""
    url = new_migrated_database()
    distributed.distribute(url)
    return url


@pytest.fixture(autouse=True)
def impatient(url: str) -> Iterator[None]:
    """Let statements that wait for a lock fail soon."""
    engine.configure(url, pool_size=4, statement_timeout_ms=1000)
    yield
    engine.dispose()


def expired_run(minutes: int, conversation_id: str | None = None) -> str:
    """Return a running run whose lease has expired so many minutes ago."""
    lease = """
        INSERT INTO run_leases
        VALUES (%(run)s, %(user)s, %(hash)s, 'w', now() - %(minutes)s * interval '1 min')
    """
    with engine.autocommit() as connection:
        run = insert_run(connection, USER, status="running", conversation_id=conversation_id)
        values = {"run": run, "user": USER, "hash": bytes(32), "minutes": minutes}
        connection.execute(lease, values).close()
    return run


def status_of(run: str) -> Any:
    with engine.autocommit() as connection:
        return value(connection, "SELECT status FROM runs WHERE id = %(run)s", {"run": run})


@contextmanager
def locked(url: str, run: str) -> Iterator[None]:
    """Lock the row of a run, so that its lease cannot be handled."""
    with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
        lock = "SELECT 1 FROM runs WHERE id = %s AND created_by = %s FOR UPDATE"
        cursor.execute(lock, [run, USER])
        yield


def test_lease_that_cannot_be_handled_does_not_hold_up_the_others(url: str) -> None:
    stuck, other = expired_run(2), expired_run(1)

    with locked(url, stuck):
        with pytest.raises(errors.Timeout):
            expiry.run(most=1)
        assert status_of(other) == "running"
        expiry.run(most=1)
        assert (status_of(stuck), status_of(other)) == ("running", "pending")


@pytest.mark.slow
def test_lease_that_could_not_be_handled_is_handled_later(url: str) -> None:
    stuck = expired_run(1)
    with locked(url, stuck), pytest.raises(errors.Timeout):
        expiry.run()
    assert status_of(stuck) == "running"

    def is_pending() -> bool:
        expiry.run()
        return bool(status_of(stuck) == "pending")

    wait_until(is_pending)


def test_all_expired_leases_are_handled_in_one_sweep() -> None:
    runs = [expired_run(1) for _ in range(3)]

    expiry.run(most=1)

    assert {status_of(run) for run in runs} == {"pending"}
