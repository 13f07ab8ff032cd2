"""Tests that every table has a policy, and that no policy is restrictive."""

import pytest

from db.engine import Connection
from tests.db.row_security.owners import PROTECTED, as_table_owner


@pytest.mark.parametrize("name", PROTECTED)
def test_every_table_has_a_policy(connection: Connection, name: str) -> None:
    enabled = as_table_owner(
        connection, "SELECT relrowsecurity FROM pg_class WHERE oid = %(it)s::regclass", name
    )
    named = as_table_owner(
        connection,
        "SELECT array_agg(policyname::text || ' to ' || array_to_string(roles, ',')"
        " ORDER BY policyname DESC) FROM pg_policies WHERE tablename = %(it)s",
        name,
    )

    assert enabled
    assert "request to agent_api_request" in named
    assert set(named) <= {
        "request to agent_api_request",
        "existence to agent_api_existence",
        "worker to agent_api_worker",
        "worker_run to agent_api_worker",
        "worker_branch to agent_api_worker",
        "member_branch to agent_api_member",
        *(f"worker_{act} to agent_api_worker" for act in ("lock", "add", "remove")),
        "member_organise to agent_api_member",
        "public to agent_api_public",
        "member to agent_api_member",
        "member_select to agent_api_member",
        "member_insert to agent_api_member",
        "member_update to agent_api_member",
        "member_delete to agent_api_member",
        "member_rate to agent_api_member",
    }


def test_policies_are_permissive(connection: Connection) -> None:
    """Citus creates each policy on the nodes without AS RESTRICTIVE, so that it gives rights."""
    restrictive = as_table_owner(
        connection,
        "SELECT array_agg(tablename || ': ' || policyname) FROM pg_policies"
        " WHERE permissive = 'RESTRICTIVE'",
    )

    assert restrictive is None
