"""Tests of leases in the database: which role reads them, and when they are removed."""

import psycopg2
import pytest
import sqlalchemy as sa

from db.engine import Connection, roles
from db.engine.statement import Statement
from db.execution import expiry
from db.models import run_leases
from tests.db.members_and_workers.owners import Owner
from tests.db.rows import value


def test_existence_role_reads_no_secrets_of_leases(connection: Connection, alice: Owner) -> None:
    expired = Statement(
        sa.select(sa.func.count()).where(run_leases.c.user_id == alice.user),
        role=roles.EXISTENCE,
    )
    hashes = Statement(sa.select(run_leases.c.hash), role=roles.EXISTENCE)

    assert expired.scalar(connection, {}) == 2
    with pytest.raises(psycopg2.ProgrammingError, match="permission denied"):
        hashes.rows(connection, {})


def test_lease_that_a_1_0_server_left_on_an_ended_run_is_removed(
    connection: Connection, alice: Owner
) -> None:
    connection.execute(
        "UPDATE runs SET status = 'succeeded', finished_at = now() WHERE id = %(run)s;"
        "UPDATE run_leases SET expires_at = now() - interval '1 min' WHERE run_id = %(run)s",
        {"run": alice.run},
    ).close()

    expiry.expire(connection, run_id=alice.run, user_id=alice.user)

    status = "SELECT status FROM runs WHERE id = %(run)s"
    assert value(connection, status, {"run": alice.run}) == "succeeded"
    left = "SELECT count(*) FROM run_leases WHERE run_id = %(run)s"
    assert value(connection, left, {"run": alice.run}) == 0
