"""Queries for the public links of a conversation.

A link is a row of its owner, and its snapshot a row that belongs to the hash of the secret. One
transaction writes both: first the link, and then, acting as the hash, the snapshot.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from db import access
from db.change_log import recording
from db.documents import LINK, time, to_json
from db.engine import Connection, roles
from db.engine.statement import Statement
from db.errors import Conflict, Missing
from db.execution import turns
from db.models import MAX_LINKS, Id, Moment, conversations, links, new_id
from db.publishing import published, snapshots

_c = links.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_link = sa.bindparam("link_id", type_=Id)
_now = sa.func.statement_timestamp()
_works = sa.or_(_c.expires_at.is_(None), _c.expires_at > _now)
_of_conversation = sa.and_(_c.conversation_id == _conversation, access.LINK)


def _record(change: str) -> sa.Insert:
    return recording.insertion(
        f"link.{change}", conversation_id=_conversation, resource_id=_link, at=_now
    )


def _list() -> Statement:
    """Return the statement that has one row without a link if the conversation has none."""
    found = sa.select(*LINK.columns, _c.created_at.label("at")).where(_of_conversation, _works)
    rows = found.subquery("found")
    return Statement(
        sa.select(rows)
        .select_from(sa.outerjoin(conversations, rows, sa.true()))
        .where(conversations.c.id == _conversation, access.CONVERSATION)
        .order_by(rows.c.at.desc(), rows.c.id.desc())
    )


_select_page = _list()
_count = Statement(sa.select(sa.func.count()).select_from(links).where(_of_conversation, _works))
_insert = Statement(
    _record("created"),
    sa.insert(links)
    .values(
        id=_link,
        conversation_id=_conversation,
        user_id=sa.bindparam("acting_user", type_=sa.String),
        secret_hash=sa.bindparam("secret_hash", type_=sa.String),
        with_attachments=sa.bindparam("with_attachments", type_=sa.Boolean),
        expires_at=sa.cast(sa.bindparam("new_expires_at", type_=sa.Text), Moment),
        created_at=_now,
    )
    .returning(*LINK.columns),
)
_select_own = Statement(
    sa.select(conversations.c.id).where(conversations.c.id == _conversation, access.CONVERSATION)
)
_delete = Statement(
    sa.delete(links).where(_c.id == _link, _of_conversation).returning(_c.secret_hash)
)
_record_delete = Statement(_record("deleted"))
_ids = sa.cast(sa.bindparam("ids", type_=sa.ARRAY(Id)), sa.ARRAY(Id))
_delete_all = Statement(
    sa.delete(links)
    .where(_c.conversation_id == sa.any_(_ids), access.LINK)
    .returning(_c.secret_hash)
)
_select_expired = Statement(
    sa.select(_c.id, _c.user_id)
    .where(_c.expires_at <= _now)
    .order_by(_c.expires_at)
    .limit(sa.bindparam("most", type_=sa.Integer)),
    role=roles.EXISTENCE,
)
_delete_expired = Statement(
    sa.delete(links)
    .where(_c.id == _link, access.LINK, _c.expires_at <= _now)
    .returning(_c.secret_hash)
)


class Expired(NamedTuple):
    """A link that does not work any more."""

    link_id: str
    user_id: str


def insert(
    connection: Connection,
    *,
    conversation_id: str,
    user_id: str,
    secret_hash: str,
    with_attachments: bool,
    expires_at: str | None,
) -> bytes:
    """Take a snapshot of a conversation and create a link to it; return the link's document.

    It needs a transaction. Raises Missing and Denied for the conversation, Conflict if it has
    MAX_LINKS links, and SnapshotTooLarge.
    """
    this = {"conversation_id": conversation_id, "user_id": user_id}
    if not turns.lock_conversation(connection, **this):
        access.refuse(connection, "conversation", row_id=conversation_id, user_id=user_id)
    values: dict[str, Any] = {"of_conversation": conversation_id, "acting_user": user_id}
    if _count.scalar(connection, values) >= MAX_LINKS:
        raise Conflict(f"This conversation has {MAX_LINKS} links: delete one first.")
    row = _insert.row(
        connection,
        values
        | {
            "link_id": new_id(),
            "change_id": new_id(),
            "secret_hash": secret_hash,
            "with_attachments": with_attachments,
            "new_expires_at": expires_at,
        },
    )
    recording.announce(connection, user_id)
    named = dict(zip(LINK.names, row, strict=True))
    snapshot = snapshots.take(
        connection,
        **this,
        with_attachments=with_attachments,
        shared_at=time(named["created_at"]),
        expires_at=named["expires_at"] and time(named["expires_at"]),
    )
    published.insert(connection, secret_hash=secret_hash, snapshot=snapshot, expires_at=expires_at)
    return LINK.write(row)


def select_page(connection: Connection, *, conversation_id: str, user_id: str) -> bytes:
    """Return the JSON array of a conversation's links that work, newest first.

    Raises Missing and Denied.
    """
    values = {"of_conversation": conversation_id, "acting_user": user_id}
    rows = _select_page.rows(connection, values)
    if not rows:
        access.refuse(connection, "conversation", row_id=conversation_id, user_id=user_id)
    width = len(LINK.names)
    return to_json([LINK.structure(*row[:width]) for row in rows if row[0] is not None])


def delete(connection: Connection, *, conversation_id: str, link_id: str, user_id: str) -> None:
    """Delete a link and its snapshot.

    It needs a transaction. Raises Missing and Denied for the conversation, and Missing for the
    link.
    """
    values = {"of_conversation": conversation_id, "acting_user": user_id, "link_id": link_id}
    secret_hash = _delete.scalar(connection, values)
    if secret_hash is None:
        if _select_own.row(connection, values) is None:
            access.refuse(connection, "conversation", row_id=conversation_id, user_id=user_id)
        raise Missing("link")
    _record_delete.rowcount(connection, values | {"change_id": new_id()})
    recording.announce(connection, user_id)
    published.delete(connection, [secret_hash])


def delete_of(connection: Connection, conversation_ids: Sequence[str], *, user_id: str) -> None:
    """Delete the links of conversations that are about to be deleted, which are locked."""
    values = {"ids": list(conversation_ids), "acting_user": user_id}
    published.delete(connection, _hashes(_delete_all.rows(connection, values)))


def select_expired(connection: Connection, *, most: int) -> list[Expired]:
    """Return links of all users that have expired, up to `most`."""
    return [Expired(*row) for row in _select_expired.rows(connection, {"most": most})]


def delete_expired(connection: Connection, expired: Expired) -> None:
    """Delete an expired link and its snapshot. It needs a transaction."""
    values = {"link_id": expired.link_id, "acting_user": expired.user_id}
    published.delete(connection, _hashes(_delete_expired.rows(connection, values)))


def _hashes(rows: Iterable[Sequence[str]]) -> list[str]:
    return [secret_hash for (secret_hash,) in rows]
