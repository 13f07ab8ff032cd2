"""Queries for idempotency keys: each with the answer that a repeated request gets again.

All of them stand in the transaction of the request, so that its row and its answer are stored
together or not at all. The lock ends with that transaction: nothing of it stays with a connection,
which a pool of connections in front of PostgreSQL may lend to somebody else.
"""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as sa_insert

from db import access
from db.engine.statement import Statement
from db.models import Id, conversations, idempotency_keys

KEPT = timedelta(hours=24)

_c = idempotency_keys.c
_user = sa.bindparam("acting_user", type_=sa.String)
_key = sa.bindparam("this_key", type_=sa.String)
_this = sa.and_(_c.user_id == _user, _c.key == _key)

_is_kept = _c.expires_at > sa.func.statement_timestamp()
_try_lock = Statement(
    sa.select(sa.func.pg_try_advisory_xact_lock(sa.bindparam("lock", type_=sa.BigInteger)))
)
# Locked, so that nobody clears away an expired row that is about to be taken over: two who clear
# each other's would wait for each other.
_select_one = Statement(
    sa.select(_c.fingerprint, _c.status, _c.headers, _c.body, _is_kept.label("is_kept"))
    .where(_this)
    .with_for_update()
)


def _insert() -> Statement:
    """The new row, with which a trigger of the table clears away some that expired."""
    # What the request made is locked until its transaction ends, and the conversation with it.
    about = sa.select(conversations.c.id).where(
        conversations.c.id == sa.any_(sa.bindparam("about", type_=sa.ARRAY(Id))),
        access.CONVERSATION,
    )
    columns: dict[str, Any] = {
        "user_id": _user,
        "key": _key,
        "conversation_id": about.scalar_subquery(),
        "expires_at": sa.func.statement_timestamp() + KEPT,
    }
    for name in ("fingerprint", "status", "headers", "body"):
        columns[name] = sa.bindparam(f"new_{name}", type_=_c[name].type)
    row = sa_insert(idempotency_keys).values(columns)
    renewed = {name: row.excluded[name] for name in columns.keys() - {"user_id", "key"}}
    return Statement(row.on_conflict_do_update(constraint="pk_idempotency_keys", set_=renewed))


_insert_one = _insert()


class Answer(NamedTuple):
    """A stored answer, with the fingerprint of the request that it was given to."""

    fingerprint: bytes
    status: int
    headers: dict[str, str]
    body: bytes


def try_lock(connection: sa.Connection, *, user_id: str, key: str) -> bool:
    """Keep the user's key until the transaction ends; False at once where another one has it.

    The lock is on 64 bits of a hash. Who shares them with somebody else waits for them now and
    then, and nothing worse.
    """
    digest = sha256(f"{user_id}\0{key}".encode()).digest()
    values = {"acting_user": user_id, "lock": int.from_bytes(digest[:8], signed=True)}
    return bool(_try_lock.scalar(connection, values))


def select_one(connection: sa.Connection, *, user_id: str, key: str) -> Answer | None:
    """The answer of the user's key, unless it has expired.

    After `try_lock`, as a statement of its own: only that sees what the one who had the lock before
    has committed.
    """
    row = _select_one.row(connection, {"acting_user": user_id, "this_key": key})
    if row is None:
        return None
    fingerprint, status, headers, body, is_kept = row
    return Answer(bytes(fingerprint), status, headers, body) if is_kept else None


def insert(
    connection: sa.Connection,
    *,
    user_id: str,
    key: str,
    fingerprint: bytes,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    """Keep an answer for 24 hours, or until the conversation that it is about is deleted."""
    values = {
        "acting_user": user_id,
        "this_key": key,
        "new_fingerprint": fingerprint,
        "new_status": status,
        "new_headers": headers,
        "new_body": body.decode(),
        "about": _ids(body),
    }
    _insert_one.rowcount(connection, values)


def _ids(body: bytes) -> list[str]:
    """The ids by which an answer can be about a conversation: its own, and the one it names."""
    document = orjson.loads(body) if body else None
    if not isinstance(document, dict):
        return []
    return [document[name] for name in ("id", "conversation_id") if document.get(name)]
