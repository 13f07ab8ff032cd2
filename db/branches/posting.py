"""Starts a branch: lets a new message answer another message than the last one."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from db import access
from db.branches import paths, rows
from db.branches.tree import Node
from db.documents import Row
from db.engine import Connection
from db.engine.statement import Statement
from db.errors import Invalid
from db.messages.message_documents import STORED_MESSAGE
from db.models import Id, messages

NOT_A_MESSAGE = "does not refer to a message of this conversation"

_c = messages.c
_place = ("parent_id", "sibling_index", "sibling_count")
_update = Statement(
    sa.update(messages)
    .where(_c.id == sa.bindparam("of_message", type_=Id), access.MESSAGE)
    .values({name: sa.bindparam(f"new_{name}", type_=_c[name].type) for name in _place})
    .returning(*STORED_MESSAGE.columns)
)


class Branch(NamedTuple):
    """The place of a message that is about to be inserted."""

    node: Node
    values: Mapping[str, Any]

    def number(self, connection: Connection, row: Row) -> Row:
        """Store the place of the inserted message, and return its row."""
        node = self.node
        if node.count is None:  # it answers the last message, like messages without a place
            return row
        place = {"parent_id": node.parent_id, "sibling_index": node.index}
        new = {f"new_{name}": value for name, value in place.items()}
        new |= {"of_message": node.id, "new_sibling_count": node.count}
        stored: Row = _update.row(connection, {**self.values, **new})
        return stored


def start(
    connection: Connection,
    *,
    conversation_id: str,
    user_id: str,
    message_id: str,
    parent_id: str | None,
    sibling_of: str | None,
) -> Branch | None:
    """Let the active path end with the parent of a message that is about to be inserted.

    It locks the conversation, so it needs a transaction. Return None if neither a parent nor a
    sibling is given. Raises Missing, Denied and Granted for the conversation, and Invalid.
    """
    given = parent_id or sibling_of
    if given is None:
        return None
    values = {"of_conversation": conversation_id, "acting_user": user_id}
    locked = paths.lock(connection, values, allows=access.BRANCH)
    if parent_id and sibling_of:
        raise Invalid("sibling_of", "cannot be combined with parent_id")
    place = rows.select_place(connection, values, given)
    if place is None:
        raise Invalid("parent_id" if parent_id else "sibling_of", NOT_A_MESSAGE)
    parent = place.id if parent_id else place.parent_id
    tree = rows.select_tree(connection, values, around=parent)
    before = tree.path()
    tree.show(None if parent is None else tree[parent])
    after = tree.path()
    new = Node(message_id, parent, locked.last_position + 1, active=True)
    tree.add_reply(new)
    rows.store(connection, values, (node for node in tree.changed() if node is not new))
    if before != after:
        paths.update(
            connection, values, locked, change=paths.BRANCH_ACTIVATED, before=before, after=after
        )
    return Branch(new, values)
