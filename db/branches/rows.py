"""Reads and stores the tree of a conversation's messages. The caller has locked the conversation.

A change reads the part of the tree after the message where the active path can change, so that its
cost depends on what follows it and not on the length of the conversation.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from db import access
from db.branches import places
from db.branches.tree import Node, Tree
from db.engine import Connection
from db.engine.statement import Statement
from db.models import Id, messages

_c = messages.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_in_conversation = sa.and_(_c.conversation_id == _conversation, access.MESSAGE)
_message = sa.bindparam("of_message", type_=Id)
_first = sa.bindparam("first_position", type_=sa.BigInteger)


class Place(NamedTuple):
    """A message, its parent, and where the part of the tree that concerns it starts."""

    id: str
    parent_id: str | None
    position: int
    active: bool


def above(message: sa.BindParameter[Any]) -> sa.CTE:
    """Return a message and those above it, up to the first that is on the active path."""
    columns = [_c.id, _c.parent_id, _c.position, _c.active]
    start = sa.select(*columns).where(_c.id == message, _in_conversation)
    found = start.cte("above", recursive=True)
    parents = (
        sa.select(*columns)
        .select_from(sa.join(messages, found, _c.id == found.c.parent_id))
        .where(access.MESSAGE, sa.not_(found.c.active))
    )
    return found.union_all(parents)


_above = above(_message)
_fork = Statement(sa.select(_above.c.position).where(_above.c.active))
_select_one = Statement(
    sa.select(_c.id, places.PARENT, _c.position, _c.active).where(
        _c.id == _message, _in_conversation
    )
)
_before = places.last_active_id(_conversation, places.EARLIER.position < _first)
_select = Statement(
    sa.select(
        *(_c.id, _c.parent_id, _c.position, _c.active, _c.sibling_index, _c.sibling_count),
        _before.scalar_subquery(),
    )
    .where(_in_conversation, _c.position >= _first)
    .order_by(_c.position)
)
_ARRAYS: dict[str, sa.ARRAY[Any]] = {
    "id": sa.ARRAY(Id),
    "parent_id": sa.ARRAY(Id),
    "active": sa.ARRAY(sa.Boolean),
    "sibling_index": sa.ARRAY(sa.Integer),
    "sibling_count": sa.ARRAY(sa.Integer),
}


def _update() -> Statement:
    arrays = [sa.cast(sa.bindparam(f"new_{name}", type_=t), t) for name, t in _ARRAYS.items()]
    new = sa.func.unnest(*arrays).table_valued(*_ARRAYS, name="new").render_derived()
    values = {name: new.c[name] for name in _ARRAYS if name != "id"}
    return Statement(sa.update(messages).where(_c.id == new.c.id, _in_conversation).values(values))


_store = _update()


def select_place(
    connection: Connection, values: Mapping[str, Any], message_id: str
) -> Place | None:
    """Return the place of a message of the conversation, or None."""
    row = _select_one.row(connection, {**values, "of_message": message_id})
    return None if row is None else Place(*row)


def select_tree(connection: Connection, values: Mapping[str, Any], *, around: str | None) -> Tree:
    """Return the part of the tree that changes if the active path is to contain a message.

    Without a message, return all of it.
    """
    first = 0
    if around is not None:
        first = _fork.scalar(connection, {**values, "of_message": around}) or 0
    nodes = []
    rows = _select.rows(connection, {**values, "first_position": first})
    before = rows[0][-1] if rows else None
    for row_id, parent_id, position, active, index, count, _ in rows:
        nodes.append(
            Node(row_id, before if count is None else parent_id, position, active, index, count)
        )
        if active:
            before = row_id
    return Tree(nodes)


def store(connection: Connection, values: Mapping[str, Any], nodes: Iterable[Node]) -> None:
    """Store the changed places of messages."""
    changed = list(nodes)
    if not changed:
        return
    columns = {
        "id": [node.id for node in changed],
        "parent_id": [node.parent_id for node in changed],
        "active": [node.active for node in changed],
        "sibling_index": [node.index for node in changed],
        "sibling_count": [node.count for node in changed],
    }
    new = {f"new_{name}": value for name, value in columns.items()}
    _store.rowcount(connection, {**values, **new})
