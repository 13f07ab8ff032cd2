"""Records changes in their owner's log, in the message of the statement that makes the change."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from db import engine
from db.documents import utc
from db.engine import Connection
from db.models import OWNERS, Id, changes, conversations

_NO_ID: sa.ColumnElement[Any] = sa.null()


def announce(connection: Connection, user_id: str) -> None:
    """Wake the streams that follow the user's log, after the commit."""
    engine.on_commit(connection, ("changes", user_id))


def time_after(previous: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the current time, or the time after the previous one if that is later.

    A writer that waited has an earlier statement time than the writer before. The log orders
    changes by their times.
    """
    return sa.func.greatest(sa.func.statement_timestamp(), microsecond_after(previous))


def microsecond_after(moment: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the next time that PostgreSQL can store."""
    # Added without a time zone: distributed tables refuse what could depend on the session's.
    return utc(utc(moment) + sa.literal_column("interval '1 microsecond'"))


def insertion(
    change: str,
    *,
    at: sa.ColumnElement[Any],
    conversation_id: sa.ColumnElement[Any] = _NO_ID,
    resource_id: sa.ColumnElement[Any] = _NO_ID,
) -> sa.Insert:
    """Return the statement that records a change by `acting_user`, with the id `change_id`."""
    owner = sa.bindparam("acting_user", type_=sa.String)
    return sa.insert(changes).values(_columns(change, owner, conversation_id, resource_id, at))


def insertion_for(
    change: str,
    rows: sa.Table,
    *,
    where: Sequence[sa.ColumnElement[bool]],
    at: sa.ColumnElement[Any],
    conversation_id: sa.ColumnElement[Any],
    resource_id: sa.ColumnElement[Any],
) -> sa.Insert:
    """Return the statement that records a change if `where` finds a row.

    The row must be locked by an earlier statement, so that it is the one that is changed.
    """
    columns = _columns(change, OWNERS[rows.name], conversation_id, resource_id, at)
    found = sa.select(*columns.values()).where(*where)
    return sa.insert(changes).from_select(list(columns), found)


def insertion_for_conversation(
    change: str, *, where: Sequence[sa.ColumnElement[bool]]
) -> sa.Insert:
    """Return the statement that records a change of a conversation, if `where` finds its row."""
    return insertion_for(
        change,
        conversations,
        where=where,
        # Later than a message that was stored while this statement waited.
        at=time_after(conversations.c.updated_at),
        conversation_id=conversations.c.id,
        resource_id=conversations.c.id,
    )


def insertion_for_each(
    change: str,
    rows: sa.Table,
    row_id: sa.ColumnElement[Any],
    *,
    where: Sequence[sa.ColumnElement[bool]],
    at: sa.ColumnElement[Any],
) -> sa.Insert:
    """Return the statement that records a change for each of many locked rows of conversations.

    The parameters `these_ids` and `change_ids` have their ids and those of the changes.
    """
    array = sa.ARRAY(Id)
    ids = [sa.cast(sa.bindparam(name, type_=array), array) for name in ("these_ids", "change_ids")]
    given = sa.func.unnest(*ids).table_valued("id", "change_id", name="given").render_derived()
    columns = _columns(change, OWNERS[rows.name], row_id, row_id, at)
    columns["id"] = given.c.change_id
    found = sa.select(*columns.values()).select_from(sa.join(rows, given, row_id == given.c.id))
    return sa.insert(changes).from_select(list(columns), found.where(*where))


def _columns(
    change: str,
    owner: sa.ColumnElement[Any],
    conversation_id: sa.ColumnElement[Any],
    resource_id: sa.ColumnElement[Any],
    at: sa.ColumnElement[Any],
) -> dict[str, sa.ColumnElement[Any]]:
    return {
        "id": sa.bindparam("change_id", type_=Id),
        "user_id": owner,
        "type": sa.literal_column(f"'{change}'"),
        "conversation_id": conversation_id,
        "resource_id": resource_id,
        "created_at": at,
    }
