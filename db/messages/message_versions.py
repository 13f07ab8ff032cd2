"""The query for the versions of a message."""

import functools
from typing import Any

import sqlalchemy as sa

from db import access
from db.engine import Connection
from db.messages.message_documents import MESSAGE, MESSAGE_VERSION
from db.models import Id, message_versions, messages
from db.paging.page import Page
from db.paging.row_page import RowPage

_c = message_versions.c
_m = messages.c
_this = sa.bindparam("this_id", type_=Id)
_this_message = sa.and_(_m.id == _this, access.MESSAGE)
_edited = sa.select(*(_c[name] for name in MESSAGE_VERSION.names), _c.size).where(
    _c.message_id == _this, access.MESSAGE_VERSION
)
_version = sa.cast(_m.details["version"].astext, sa.Integer)
_unedited = sa.select(
    sa.literal_column("1").label("version"),
    _m.details["author"].astext.label("author_id"),
    _m.content,
    _m.details["parts"].label("parts"),
    _m.metadata,
    _m.created_at,
    MESSAGE.size.label("size"),
).where(_this_message, _version.is_(None))
_versions = sa.union_all(_edited, _unedited).subquery("versions")


@functools.cache
def _select_page(*, resumed: bool) -> RowPage:
    after = sa.bindparam("after_version", type_=sa.BigInteger)
    return RowPage(
        MESSAGE_VERSION._replace(table=_versions),
        where=[_versions.c.version > after] if resumed else [],
        order_by=[_versions.c.version],
        around=_with_version,
    )


def _with_version(page: sa.Select[Any]) -> sa.Select[Any]:
    """Return a select with the message's version, also if the page is empty."""
    found = page.subquery("found")
    last = sa.func.coalesce(_version, sa.literal_column("1")).label("last_version")
    message = sa.select(last).where(_this_message).subquery("message")
    return sa.select(found, message.c.last_version).select_from(
        sa.outerjoin(message, found, sa.true())
    )


def select_page(
    connection: Connection,
    *,
    message_id: str,
    user_id: str,
    limit: int,
    offset: int = 0,
    after: list[Any] | None = None,
) -> Page:
    """Return a page of a message's versions, oldest first. Keys are [version].

    Raises Missing, Denied and Granted.
    """
    values: dict[str, Any] = {"this_id": message_id, "acting_user": user_id}
    if after is not None:
        (values["after_version"],) = after
    query = _select_page(resumed=after is not None)
    rows = query.read(connection, values, limit=limit, offset=offset)
    if rows is None:
        access.refuse(connection, "message", row_id=message_id, user_id=user_id, allows=access.READ)
    (total,) = rows.extra
    return Page(rows.documents, total, [rows.last[0]] if rows.has_more else None)
