"""Queries for conversations."""

import functools
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from db import access, engine
from db.branches import pages
from db.branches.pages import Selection
from db.change_log import recording
from db.documents import CONVERSATION, Row
from db.engine import Connection, current_membership
from db.engine.statement import Statement
from db.errors import Denied
from db.models import Id, conversations, new_id
from db.organising import own_view, tags
from db.organising.listed import ORGANISED, OWN
from db.sharing import memberships, telling

DEFAULT_TITLE = "New Conversation"

_c = conversations.c
_this = _c.id == sa.bindparam("this_id", type_=Id)

_one = sa.select(*CONVERSATION.columns).where(_this, access.CONVERSATION)
_select_own = Statement(_one)
_select_one = Statement(memberships.or_membership(_one, sa.bindparam("this_id", type_=Id)))
_lock = Statement(_one.with_for_update())
_new_id = sa.bindparam("new_id", type_=Id)
_insert = Statement(
    recording.insertion(
        "conversation.created", conversation_id=_new_id, resource_id=_new_id, at=sa.func.now()
    ),
    sa.insert(conversations)
    .values(
        {
            "id": _new_id,
            "user_id": sa.bindparam("acting_user", type_=sa.String),
            **{
                name: sa.bindparam(f"new_{name}", type_=_c[name].type)
                for name in ("title", "auto_title", "source", "model", "agent_id", "is_private")
            },
            "metadata": sa.bindparam("new_metadata", type_=_c.metadata.type),
        }
    )
    .returning(*CONVERSATION.columns),
)

_select_messages = {
    start: pages.query(sa.bindparam("this_id", type_=Id), Selection(after=start))
    for start in ("", "offset")
}


@functools.cache
def _update(changed: frozenset[str], *, shared: bool) -> Statement:
    """Return the statements that change a conversation, unless it has members and not `shared`."""
    conditions = [] if shared else [telling.UNSHARED]
    where = [_this, access.CONVERSATION, *conditions]
    # The lock keeps others from deleting the conversation after its change was recorded.
    lock = sa.select(_c.id).where(*where).with_for_update(key_share=True)
    values = {name: sa.bindparam(f"new_{name}", type_=_c[name].type) for name in sorted(changed)}
    update = sa.update(conversations).where(*where).values(values)
    record = recording.insertion_for_conversation("conversation.updated", where=where)
    if "tags" in changed:
        selected = sa.select(*CONVERSATION.columns).where(*where)
        return Statement(lock, record, update, *tags.storing(OWN, *where), selected)
    return Statement(lock, record, update.returning(*CONVERSATION.columns))


def select_one(connection: Connection, *, conversation_id: str, user_id: str) -> bytes:
    """Return a conversation's document. Raises Missing, Denied and Granted."""
    values = {"this_id": conversation_id, "acting_user": user_id}
    or_membership = memberships.is_found_as_well(connection)
    row = (_select_one if or_membership else _select_own).row(connection, values)
    found = None
    if row is not None and or_membership:
        row, found = memberships.split(row)
    if row is None or found is not None:
        access.refuse(
            connection,
            "conversation",
            row_id=conversation_id,
            user_id=user_id,
            allows=access.READ,
            membership=found,
        )
    grant = current_membership()
    return CONVERSATION.write(row if grant is None else (*row, grant.view))


def select_with_messages(
    connection: Connection, *, conversation_id: str, user_id: str, limit: int, offset: int = 0
) -> tuple[bytes, bytes]:
    """Return a conversation's document and the JSON array of a page of its messages, oldest first.

    Raises Missing and Denied.
    """
    conversation = select_one(connection, conversation_id=conversation_id, user_id=user_id)
    values = {"this_id": conversation_id, "acting_user": user_id}
    query = _select_messages["offset" if offset else ""]
    rows = query.read(connection, values, limit=limit, offset=offset)
    return conversation, rows.documents if rows is not None else b"[]"


def lock(
    connection: Connection, *, conversation_id: str, user_id: str, allows: str | None = None
) -> bytes:
    """Lock a conversation until the transaction ends, and return its document.

    Raises Missing and Denied, and with `allows` Granted for members.
    """
    values = {"this_id": conversation_id, "acting_user": user_id}
    if current_membership() is not None:
        own_view.lock(connection)
        return _of_member(connection, values)
    row = _lock.row(connection, values)
    return _found(connection, row, conversation_id, user_id, allows)


def allows(changes: Mapping[str, Any]) -> str | None:
    """Return which members may make these changes: what is their own, or none at all."""
    return access.READ if changes and changes.keys() <= ORGANISED else None


def insert(
    connection: Connection,
    *,
    user_id: str,
    title: str | None = None,
    source: str | None = None,
    model: str | None = None,
    agent_id: str | None = None,
    is_private: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> tuple[str, bytes]:
    """Create a conversation; return its id and its document.

    Without a title, or with the default title, the first message sets the title.
    """
    conversation_id = new_id()
    row = _insert.row(
        connection,
        {
            "acting_user": user_id,
            "change_id": new_id(),
            "new_id": conversation_id,
            "new_title": DEFAULT_TITLE if title is None else title,
            "new_auto_title": title is None or title == DEFAULT_TITLE,
            "new_source": source,
            "new_model": model,
            "new_agent_id": agent_id,
            "new_is_private": is_private,
            "new_metadata": metadata,
        },
    )
    recording.announce(connection, user_id)
    return conversation_id, CONVERSATION.write(row)


def update(
    connection: Connection, *, conversation_id: str, user_id: str, changes: Mapping[str, Any]
) -> bytes:
    """Change properties of a conversation, and return its document.

    Later messages do not change a title that was set here. updated_at, the time of the last
    message, stays. Raises Missing and Denied, and Granted for members who may make the changes.
    """
    if not changes:  # not `select_one`, which lets members read
        row = _select_own.row(connection, {"this_id": conversation_id, "acting_user": user_id})
        return _found(connection, row, conversation_id, user_id)
    columns = dict(changes)
    if "title" in changes:
        columns["auto_title"] = False
    if "tags" in changes:
        columns["tags"] = tags.checked(changes["tags"])
    if current_membership() is not None:
        own_view.update(connection, changes=columns)
        return _of_member(connection, {"this_id": conversation_id, "acting_user": user_id})
    values = {"this_id": conversation_id, "acting_user": user_id, "change_id": new_id()}
    values |= {f"new_{name}": value for name, value in columns.items()}
    changed = frozenset(columns)
    is_own = changed <= ORGANISED  # the members need not know
    row = _update(changed, shared=is_own).row(connection, values)
    if row is None and is_own:
        return _found(connection, None, conversation_id, user_id, access.READ)
    if row is None:
        row = _update_shared(connection, changed, values)
    recording.announce(connection, user_id)
    return CONVERSATION.write(row)


def _update_shared(
    connection: Connection, changed: frozenset[str], values: Mapping[str, Any]
) -> Row:
    """Change a conversation that has members, and tell them. Return its row."""
    conversation_id, user_id = values["this_id"], values["acting_user"]
    with engine.joined(connection):
        row: Row | None = _update(changed, shared=True).row(connection, values)
        if row is None:
            access.refuse(connection, "conversation", row_id=conversation_id, user_id=user_id)
        telling.tell_of_update(
            connection,
            conversation_id=conversation_id,
            owner_id=user_id,
            agent_id=row[CONVERSATION.names.index("agent_id")],
        )
    return row


def _of_member(connection: Connection, values: Mapping[str, Any]) -> bytes:
    """Return the document as the member sees it now."""
    row = _select_own.row(connection, values)
    view = own_view.select(connection)
    if row is None or view is None:
        raise Denied("conversation")
    return CONVERSATION.write((*row, view))


def _found(
    connection: Connection,
    row: Row | None,
    conversation_id: str,
    user_id: str,
    allows: str | None = None,
) -> bytes:
    if row is None:
        access.refuse(
            connection, "conversation", row_id=conversation_id, user_id=user_id, allows=allows
        )
    return CONVERSATION.write(row)
