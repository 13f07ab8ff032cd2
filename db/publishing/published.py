"""Queries for published conversations, the snapshots that public links show.

A statement acts as the hash of a secret, so without the secret it finds nothing.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from db.engine import Connection, roles
from db.engine.statement import Statement
from db.models import Moment, published_conversations

_c = published_conversations.c
_this = _c.secret_hash == sa.bindparam("acting_user", type_=sa.String)
_works = sa.or_(_c.expires_at.is_(None), _c.expires_at > sa.func.statement_timestamp())
_select_one = Statement(sa.select(_c.snapshot).where(_this, _works), role=roles.PUBLIC)
_insert = Statement(
    sa.insert(published_conversations).values(
        secret_hash=sa.bindparam("acting_user", type_=sa.String),
        snapshot=sa.bindparam("new_snapshot", type_=sa.Text),
        expires_at=sa.cast(sa.bindparam("new_expires_at", type_=sa.Text), Moment),
    )
)
_delete = Statement(sa.delete(published_conversations).where(_this))


def select_one(connection: Connection, *, secret_hash: str) -> bytes | None:
    """Return the snapshot of a link that works, or None."""
    snapshot: str | None = _select_one.scalar(connection, {"acting_user": secret_hash})
    return None if snapshot is None else snapshot.encode()


def insert(
    connection: Connection, *, secret_hash: str, snapshot: bytes, expires_at: str | None
) -> None:
    """Store a snapshot."""
    values = {"new_snapshot": snapshot.decode(), "new_expires_at": expires_at}
    _insert.rowcount(connection, values | {"acting_user": secret_hash})


def delete(connection: Connection, secret_hashes: Iterable[str]) -> None:
    """Delete snapshots, each on its own node and in one order."""
    for secret_hash in sorted(secret_hashes):
        _delete.rowcount(connection, {"acting_user": secret_hash})
