"""Changes many conversations of a user at once, with a few statements for all of them."""

import functools
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from db import access
from db.change_log import recording
from db.engine import Connection
from db.engine.statement import Statement
from db.execution import turns
from db.models import MAX_TAGS, Id, conversations, new_id, runs
from db.organising import filters, tags
from db.organising.listed import OWN, SHARED, Listed
from db.publishing import links
from db.sharing import telling

MAX_IDS = 500

_ids = sa.cast(sa.bindparam("these_ids", type_=sa.ARRAY(Id)), sa.ARRAY(Id))
_most = sa.bindparam("most", type_=sa.Integer)
_given_tags = sa.cast(sa.bindparam("given_tags", type_=sa.ARRAY(sa.String)), sa.ARRAY(sa.String))


def _these(of: Listed) -> list[sa.ColumnElement[bool]]:
    return [of.row_id == sa.any_(_ids), of.of_user]


def _new_values(of: Listed, action: str) -> dict[str, Any]:
    match action:
        case "archive" | "unarchive":
            return {"archived": action == "archive"}
        case "pin" | "unpin":
            return {"pinned": action == "pin"}
        case "add_tags":
            return {"tags": tags.added(of)}
        case _:
            return {"tags": tags.remaining(of)}


def _would_change(of: Listed, action: str) -> sa.ColumnElement[bool]:
    columns = of.rows.c
    known = sa.cast(columns.tags, sa.ARRAY(sa.String))
    return {
        "archive": ~columns.archived,
        "unarchive": columns.archived,
        "pin": ~columns.pinned,
        "unpin": columns.pinned,
        "add_tags": ~known.bool_op("@>")(_given_tags),
        "remove_tags": known.bool_op("&&")(_given_tags),
        "delete": sa.true(),
    }[action]


@functools.cache
def _lock(of: Listed, action: str, names: frozenset[str] | None) -> Statement:
    """Return the statement that locks rows: those with the ids, or those to change of the filter.

    They are locked in the order of their ids, so that two of these statements do not deadlock.
    Deletions do not lock memberships, which members cannot delete. Two users who delete
    conversations that they share with each other would otherwise deadlock.
    The second column is whether the row can be changed.
    """
    can_change: sa.ColumnElement[bool] = sa.true()
    if action == "add_tags":
        can_change = sa.func.cardinality(tags.added(of)) <= MAX_TAGS
    elif action == "delete":
        can_change = sa.true() if of is OWN else sa.false()
    where = _these(of)
    if names is not None:
        agent = filters.alternatives(of, names)
        where = [of.of_user, *filters.conditions(of, names), _would_change(of, action), can_change]
        where.append(sa.or_(*(sa.and_(sa.true(), *each) for each in agent)))
    shared = conversations.c.was_shared if of is OWN else sa.false()
    rows = sa.select(of.row_id, can_change, shared).where(*where).order_by(of.row_id).limit(_most)
    if of is OWN or action != "delete":
        rows = rows.with_for_update(of=of.rows, key_share=action != "delete")
    return Statement(rows, prepare=names is None)


@functools.cache
def _change(of: Listed, action: str) -> Statement:
    """Return the statements that change the locked rows, and record it."""
    where = _these(of)
    record = recording.insertion_for_each(
        "conversation.deleted" if action == "delete" else "conversation.updated",
        of.rows,
        of.row_id,
        where=where,
        at=recording.time_after(of.latest),
    )
    if action == "delete":
        unlink = sa.update(runs).where(runs.c.conversation_id == sa.any_(_ids), access.RUN)
        return Statement(
            record, unlink.values(conversation_id=None), sa.delete(of.rows).where(*where)
        )
    change = sa.update(of.rows).where(*where).values(_new_values(of, action))
    storing = tags.storing(of, *where) if action.endswith("_tags") else []
    return Statement(record, change, *storing)


def update(
    connection: Connection,
    *,
    user_id: str,
    action: str,
    given_tags: Sequence[str],
    ids: Sequence[str] | None = None,
    given: dict[str, Any] | None = None,
    shared: bool | None = None,
) -> dict[str, bool]:
    """Change conversations; return by its id whether each one of the user's was changed.

    Those that would get more than MAX_TAGS are not, and members cannot delete. With the filters
    `given` instead of `ids`, change the first MAX_IDS that they select and that the action can
    change. With `shared`, only those that others share with the user, or only own ones. It needs a
    transaction.
    """
    values: dict[str, Any] = {"acting_user": user_id, "given_tags": given_tags, **(given or {})}
    names = None if given is None else frozenset(given)
    found: dict[str, bool] = {}
    for of in (OWN, SHARED):
        if shared is (of is OWN):
            continue
        if ids is not None and len(found) == len(ids):
            break
        values |= {"these_ids": ids, "most": MAX_IDS - len(found)}
        rows = _lock(of, action, names).rows(connection, values)
        found |= {row_id: can_change for row_id, can_change, _ in rows}
        changed = [row_id for row_id, can_change, _ in rows if can_change]
        if not changed:
            continue
        if action == "delete":
            shared_ids = [row_id for row_id, _, was_shared in rows if was_shared]
            if shared_ids:
                telling.tell_of_deletion(connection, conversation_ids=shared_ids, owner_id=user_id)
            links.delete_of(connection, changed, user_id=user_id)
        values |= {"these_ids": changed, "change_ids": [new_id() for _ in changed]}
        _change(of, action).rowcount(connection, values)
        if action == "delete":
            turns.continue_unlinked(connection, user_id=user_id)
        recording.announce(connection, user_id)
    return found
