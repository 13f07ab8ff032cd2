"""Tests that members and workers lack the rights that they do not need."""

import pytest

from db.engine import Connection, roles
from tests.db.rows import value


@pytest.mark.parametrize(
    ("role", "table", "right"),
    [
        *((roles.MEMBER, "conversations", each) for each in ("INSERT", "UPDATE", "DELETE")),
        *((roles.MEMBER, "messages", each) for each in ("UPDATE", "DELETE")),
        *((roles.MEMBER, "message_versions", each) for each in ("UPDATE", "DELETE")),
        *((roles.MEMBER, "runs", each) for each in ("SELECT", "INSERT", "UPDATE", "DELETE")),
        *((roles.MEMBER, "run_events", each) for each in ("INSERT", "UPDATE", "DELETE")),
        *((roles.MEMBER, "chat_attachments", each) for each in ("UPDATE", "DELETE")),
        *((roles.MEMBER, "shares", each) for each in ("INSERT", "UPDATE")),
        *((roles.MEMBER, "memberships", each) for each in ("INSERT", "UPDATE")),
        *((roles.MEMBER, "changes", each) for each in ("SELECT", "UPDATE", "DELETE")),
        (roles.MEMBER, "idempotency_keys", "DELETE"),
        (roles.WORKER, "chat_settings", "SELECT"),
        (roles.WORKER, "rate_limits", "SELECT"),
        *((roles.WORKER, "chat_attachments", each) for each in ("SELECT", "UPDATE")),
        *((roles.WORKER, "conversations", each) for each in ("INSERT", "DELETE")),
        *((roles.WORKER, "messages", each) for each in ("UPDATE", "DELETE")),
        *((roles.WORKER, "runs", each) for each in ("INSERT", "DELETE")),
        *((roles.WORKER, "run_events", each) for each in ("UPDATE", "DELETE")),
        (roles.WORKER, "idempotency_keys", "DELETE"),
    ],
)
def test_role_lacks_right(connection: Connection, role: str, table: str, right: str) -> None:
    query = "SELECT has_table_privilege(%(role)s, %(table)s, %(right)s)"

    assert value(connection, query, {"role": role, "table": table, "right": right}) is False
