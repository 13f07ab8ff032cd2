"""Changes the tags of conversations: the column, and the rows by which lists find them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from db.characters import is_visible
from db.errors import InvalidItems
from db.organising.listed import Listed

_array = sa.ARRAY(sa.String)
_given = sa.cast(sa.bindparam("given_tags", type_=_array), _array)


def checked(tags: Sequence[str]) -> list[str]:
    """Return each tag once, in the order of their first occurrence.

    Raises InvalidItems for tags that nobody could see.
    """
    wrong = [number for number, tag in enumerate(tags) if not is_visible(tag)]
    if wrong:
        raise InvalidItems("tags", dict.fromkeys(wrong, "needs at least one visible character"))
    return list(dict.fromkeys(tags))


def _filtered(of: Listed, tags: Any, others: Any) -> sa.ColumnElement[Any]:
    """Return the array of the tags that are not among the others, in order."""
    each = (
        sa.func.unnest(tags)
        .table_valued("tag", with_ordinality="number", name="each")
        .render_derived()
    )
    found = sa.select(each.c.tag).where(each.c.tag != sa.all_(others)).order_by(each.c.number)
    return sa.func.array(found.scalar_subquery().correlate(of.rows), type_=_array)


def added(of: Listed) -> sa.ColumnElement[Any]:
    """Return the tags of a row and those of `given_tags` that it does not have yet."""
    tags = of.rows.c.tags
    return sa.cast(tags, _array).concat(_filtered(of, _given, tags))


def remaining(of: Listed) -> sa.ColumnElement[Any]:
    """Return the tags of a row that are not in `given_tags`."""
    return _filtered(of, of.rows.c.tags, _given)


def storing(of: Listed, *where: sa.ColumnElement[bool]) -> list[sa.Delete | sa.Insert]:
    """Return the statements that store the names for the tags of locked rows."""
    tags = of.rows.c.tags
    each = sa.func.unnest(tags).table_valued("tag", name="each").render_derived()
    names = (
        sa.select(of.row_id, of.rows.c.user_id, each.c.tag)
        .select_from(sa.join(of.rows, each, sa.true()))
        .where(*where)
    )
    old = of.tags.c
    changed = sa.and_(
        old.conversation_id == of.row_id,
        old.user_id == of.rows.c.user_id,
        old.tag != sa.all_(tags),
    )
    return [
        sa.delete(of.tags).where(changed, *where),
        insert(of.tags)
        .from_select(["conversation_id", "user_id", "tag"], names)
        .on_conflict_do_nothing(),
    ]
