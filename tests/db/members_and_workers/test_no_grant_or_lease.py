"""Tests that members see nothing without a grant, and workers nothing without a lease."""

import pytest
import sqlalchemy as sa

from db.engine import Connection, roles
from db.engine.statement import Statement
from db.models import OWNERS
from tests.db.members_and_workers.owners import SEEN_BY_MEMBERS, SEEN_BY_WORKERS, Owner


@pytest.mark.parametrize(
    ("role", "table"),
    [
        *((roles.MEMBER, table) for table in SEEN_BY_MEMBERS),
        *((roles.WORKER, table) for table in SEEN_BY_WORKERS),
    ],
)
def test_role_without_a_grant_or_a_lease_sees_nothing(
    connection: Connection, alice: Owner, role: str, table: str
) -> None:
    count = Statement(sa.select(sa.func.count(OWNERS[table])), role=role)

    assert count.scalar(connection, {"acting_user": alice.user}) == 0
    assert count.scalar(connection, {}) == 0
