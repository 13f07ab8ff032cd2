"""Activates another branch of a conversation."""

import sqlalchemy as sa

from db import access
from db.branches import paths, rows
from db.branches.posting import NOT_A_MESSAGE
from db.documents import CONVERSATION, Row
from db.engine import Connection, current_membership
from db.engine.statement import Statement
from db.errors import Denied, Invalid
from db.models import Id, conversations
from db.organising import own_view

_select = Statement(
    sa.select(*CONVERSATION.columns).where(
        conversations.c.id == sa.bindparam("of_conversation", type_=Id), access.CONVERSATION
    )
)


def activate(
    connection: Connection, *, conversation_id: str, user_id: str, message_id: str
) -> bytes:
    """Let the active path lead to the newest message below one; return the conversation's document.

    It needs a transaction. Raises Missing, Denied and Granted for the conversation, and Invalid for
    a message of another one.
    """
    values = {"of_conversation": conversation_id, "acting_user": user_id}
    locked = paths.lock(connection, values, allows=access.BRANCH)
    place = rows.select_place(connection, values, message_id)
    if place is None:
        raise Invalid("message_id", NOT_A_MESSAGE)
    tree = rows.select_tree(connection, values, around=place.id)
    before = tree.path()
    tree.show(tree.newest_below(place.id))
    after = tree.path()
    row: Row
    if before == after:
        row = _select.row(connection, values)
    else:
        rows.store(connection, values, tree.changed())
        row = paths.update(
            connection, values, locked, change=paths.BRANCH_ACTIVATED, before=before, after=after
        )
    if current_membership() is None:
        return CONVERSATION.write(row)
    view = own_view.select(connection)
    if view is None:
        raise Denied("conversation")
    return CONVERSATION.write((*row, view))
