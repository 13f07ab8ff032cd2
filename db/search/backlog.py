"""Indexes messages that search does not find yet: those of earlier versions.

A conversation remembers up to which position all messages are indexed. Servers without search store
messages before the migration, and while servers are replaced; that position is then behind the last
one. Each step indexes some messages of one conversation, under its lock.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from db import access
from db.engine import Connection, autocommit, roles, transaction
from db.engine.statement import Statement
from db.models import Id, Moment, conversations, message_terms, messages
from db.search import index, words

STEP_MESSAGES = 100
SWEEP_MESSAGES = 5_000
"""How many messages a server indexes each minute in the background."""

_c = conversations.c
_m = messages.c
_most = sa.bindparam("most", type_=sa.Integer)
_conversation = sa.bindparam("of_conversation", type_=Id)
_this = sa.and_(_c.id == _conversation, access.CONVERSATION)
_is_behind = _c.indexed_position < _c.last_position

_select_behind = Statement(
    sa.select(_c.id, _c.user_id).where(_is_behind).order_by(_c.updated_at.desc()).limit(_most),
    role=roles.EXISTENCE,
)
_lock = Statement(
    sa.select(_c.indexed_position, _c.last_position)
    .where(_this, _is_behind)
    .with_for_update(key_share=True)
)
_select_messages = Statement(
    sa.select(
        _m.id,
        _m.position,
        _m.role,
        sa.cast(_m.created_at, sa.Text),
        sa.func.left(_m.content, sa.literal_column(str(words.MAX_CHARACTERS))),
    )
    .where(
        _m.conversation_id == _conversation,
        access.MESSAGE,
        _m.position > sa.bindparam("after_position", type_=sa.BigInteger),
    )
    .order_by(_m.position)
    .limit(_most)
)
_insert = Statement(
    insert(message_terms)
    .values(
        conversation_id=_conversation,
        message_id=sa.bindparam("of_message", type_=Id),
        user_id=sa.bindparam("acting_user", type_=sa.String),
        role=sa.bindparam("new_role", type_=_m.role.type),
        created_at=sa.cast(sa.bindparam("at", type_=sa.Text), Moment),
        terms=index.TERMS,
    )
    .on_conflict_do_nothing()
)
_update = Statement(
    sa.update(conversations)
    .where(_this)
    .values(indexed_position=sa.bindparam("reached", type_=sa.BigInteger))
)


class Behind(NamedTuple):
    """A conversation with messages that are not indexed, and its owner."""

    conversation_id: str
    user_id: str


def run(most: int | None = SWEEP_MESSAGES) -> int:
    """Index up to about `most` messages, those of the latest conversations first; return how many.

    Several sessions may do this at once. Raises Unavailable and Timeout.
    """
    done = 0
    while most is None or done < most:
        with autocommit() as connection:
            behind = select_behind(connection, most=STEP_MESSAGES)
        if not behind:
            break
        for conversation_id, user_id in behind:
            with transaction() as connection:
                done += index_some(connection, conversation_id=conversation_id, user_id=user_id)
            if most is not None and done >= most:
                break
    return done


def select_behind(connection: Connection, *, most: int) -> list[Behind]:
    """Return up to `most` conversations of all users with messages that are not indexed."""
    return [Behind(*row) for row in _select_behind.rows(connection, {"most": most})]


def index_some(connection: Connection, *, conversation_id: str, user_id: str) -> int:
    """Index up to STEP_MESSAGES messages of a conversation; return how many.

    It needs a transaction. The lock keeps others from changing these messages meanwhile.
    """
    values: dict[str, Any] = {"of_conversation": conversation_id, "acting_user": user_id}
    positions = _lock.row(connection, values)
    if positions is None:
        return 0
    indexed, last = positions
    values |= {"after_position": indexed, "most": STEP_MESSAGES}
    rows = _select_messages.rows(connection, values)
    for row in rows:
        _index(connection, values, row)
    reached = rows[-1][1] if len(rows) == STEP_MESSAGES else last
    _update.rowcount(connection, values | {"reached": reached})
    return len(rows)


def _index(connection: Connection, values: dict[str, Any], row: Sequence[Any]) -> None:
    message_id, _, role, at, content = row
    terms = index.terms(values["acting_user"], content)
    message = {"of_message": message_id, "new_role": role, "at": at, "new_terms": terms}
    _insert.rowcount(connection, values | message)
