"""Reads a message's place in the tree: its parent, and its number among its siblings.

A message without a number is active, has no siblings, and answers the last active message before
it. Old servers add such messages without storing their parent, also to conversations with branches.
"""

from collections.abc import Iterable
from typing import Any

import orjson
import sqlalchemy as sa

from db.models import conversations, messages

_c = messages.c
_user = sa.bindparam("acting_user", type_=sa.String)
_before = messages.alias("earlier")

_ONE: sa.ColumnElement[int] = sa.literal_column("1")
EARLIER = _before.c


def last_active_id(
    conversation_id: sa.ColumnElement[Any], *conditions: sa.ColumnElement[bool]
) -> sa.Select[Any]:
    """Return the select for the id of the last active message of those that meet `conditions`.

    They are about the table EARLIER.
    """
    return (
        sa.select(EARLIER.id)
        .where(
            EARLIER.conversation_id == conversation_id,
            EARLIER.user_id == _user,
            EARLIER.active,
            *conditions,
        )
        .order_by(EARLIER.position.desc())
        .limit(_ONE)
    )


_previous = last_active_id(_c.conversation_id, EARLIER.position < _c.position)
PARENT: sa.ColumnElement[Any] = sa.case(
    (
        sa.and_(_c.parent_id.is_(None), _c.sibling_count.is_(None)),
        _previous.correlate(messages).scalar_subquery(),
    ),
    else_=_c.parent_id,
).label("parent_id")
"""The parent of a message, also if an old server has stored it without one."""

OF_PATH: dict[str, sa.ColumnElement[Any]] = {
    # Null for nearly all messages. One column for all numbers costs least, and none for `active`.
    "parent_id": sa.case(
        (
            _c.sibling_count.is_not(None),
            sa.func.json_build_array(_c.parent_id, _c.sibling_index, _c.sibling_count),
        )
    ).label("parent_id"),
}
"""What a page of the active path selects: JSON of all numbers instead of the parent."""
STORED: dict[str, sa.ColumnElement[Any]] = {
    "sibling_index": sa.func.coalesce(_c.sibling_index, _ONE).label("sibling_index"),
    "sibling_count": sa.func.coalesce(_c.sibling_count, _ONE).label("sibling_count"),
}
"""What a statement returns that has just stored a message."""
PLACE = {**STORED, "parent_id": PARENT}
"""What all others select."""


def after_post(message_id: sa.BindParameter[str]) -> dict[str, sa.ColumnElement[Any]]:
    """Return the columns of a conversation that say what a new message answers, and what is next.

    Old servers change only `last_position`. Then nothing is known until the next message.
    """
    c = conversations.c
    return {
        "previous_message_id": sa.case(
            (c.last_message_known_at == c.last_position, c.last_message_id)
        ),
        "last_message_id": message_id,
        "last_message_known_at": c.last_position + _ONE,
    }


def complete(structures: Iterable[Any], before: str | None) -> None:
    """Complete the places of consecutive messages of the active path, oldest first.

    `before` is the active message before them.
    """
    for structure in structures:
        if structure.parent_id is None:
            structure.parent_id = before
        else:
            place = orjson.loads(structure.parent_id)
            structure.parent_id, structure.sibling_index, structure.sibling_count = place
        before = structure.id
