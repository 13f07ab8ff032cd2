"""Queries for idempotency keys and the stored responses that repeated requests receive.

They run in the request's transaction, so that its row and its response are stored together or not
at all. The lock also ends with the transaction and leaves nothing on the connection, because a
pooler in front of PostgreSQL may lend the connection to another client.
"""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as sa_insert

from db.engine import Connection
from db.engine.statement import Statement
from db.models import idempotency_keys

LIFETIME = timedelta(hours=24)

_c = idempotency_keys.c
_user = sa.bindparam("acting_user", type_=sa.String)
_key = sa.bindparam("this_key", type_=sa.String)
_this = sa.and_(_c.user_id == _user, _c.key == _key)

_is_valid = _c.expires_at > sa.func.statement_timestamp()
_try_lock = Statement(
    sa.select(sa.func.pg_try_advisory_xact_lock(sa.bindparam("lock", type_=sa.BigInteger)))
)
# Lock the row so that no other transaction deletes it after it has expired and before `insert`
# replaces it: two transactions that delete each other's rows would deadlock.
_select_one = Statement(
    sa.select(_c.fingerprint, _c.status, _c.headers, _c.body, _is_valid.label("is_valid"))
    .where(_this)
    .with_for_update()
)


def _upsert() -> Statement:
    columns: dict[str, Any] = {
        "user_id": _user,
        "key": _key,
        "expires_at": sa.func.statement_timestamp() + LIFETIME,
    }
    for name in ("fingerprint", "status", "headers", "body", "conversation_id"):
        columns[name] = sa.bindparam(f"new_{name}", type_=_c[name].type)
    row = sa_insert(idempotency_keys).values(columns)
    replaced = {name: row.excluded[name] for name in columns.keys() - {"user_id", "key"}}
    keys = [_c.user_id, _c.key]
    return Statement(row.on_conflict_do_update(index_elements=keys, set_=replaced))


_insert = _upsert()
_delete_expired = Statement(
    sa.select(sa.func.delete_expired_keys(sa.bindparam("most", type_=sa.Integer)))
)


class StoredResponse(NamedTuple):
    """A response, with the fingerprint of the request that it belongs to."""

    fingerprint: bytes
    status: int
    headers: dict[str, str]
    body: bytes


def try_lock(connection: Connection, *, user_id: str, key: str) -> bool:
    """Lock the user's key until the transaction ends; return False if it is already locked.

    The lock number is a 64-bit hash. In a collision one request finds its key in use; no response
    is mixed up.
    """
    digest = sha256(f"{user_id}\0{key}".encode()).digest()
    values = {"acting_user": user_id, "lock": int.from_bytes(digest[:8], signed=True)}
    return bool(_try_lock.scalar(connection, values))


def select_one(connection: Connection, *, user_id: str, key: str) -> StoredResponse | None:
    """Return the stored response for the user's key, or None if it is absent or expired.

    Call this after `try_lock`: only a separate statement sees what the previous holder committed.
    """
    row = _select_one.row(connection, {"acting_user": user_id, "this_key": key})
    if row is None:
        return None
    fingerprint, status, headers, body, is_valid = row
    if not is_valid:
        return None
    return StoredResponse(bytes(fingerprint), status, orjson.loads(headers), body.encode())


def insert(
    connection: Connection,
    *,
    user_id: str,
    key: str,
    fingerprint: bytes,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    conversation_id: str | None,
) -> None:
    """Store a response for 24 hours, or until the conversation it belongs to is deleted."""
    values = {
        "acting_user": user_id,
        "this_key": key,
        "new_fingerprint": fingerprint,
        "new_status": status,
        "new_headers": headers,
        "new_body": body.decode(),
        "new_conversation_id": conversation_id,
    }
    _insert.rowcount(connection, values)


def delete_expired(connection: Connection, *, most: int) -> int:
    """Delete up to `most` expired responses of all users; return how many."""
    return int(_delete_expired.scalar(connection, {"most": most}))
