"""Queries for a user's chat settings."""

import functools
from collections.abc import Mapping
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from db.change_log import recording
from db.documents import CHAT_SETTINGS
from db.engine import Connection
from db.engine.statement import Statement
from db.models import chat_settings, new_id

# The settings of a user who has not saved any. Setting a value to null restores its default.
DEFAULTS: Mapping[str, Any] = {
    "enabled_tools": [],
    "enabled_agents": [],
    "model": None,
    "temperature": 0.7,
    "max_tokens": 2000,
}

_c = chat_settings.c
_saved = sa.select(*CHAT_SETTINGS.columns).where(_c.user_id == sa.bindparam("acting_user"))
_select_one = Statement(_saved)
_lock = Statement(_saved.with_for_update())
_insert_defaults = Statement(
    insert(chat_settings).on_conflict_do_nothing(index_elements=[_c.user_id]),
    columns=("id", "user_id", *DEFAULTS),
)


@functools.cache
def _upsert(changed: frozenset[str]) -> Statement:
    values = {
        name: sa.bindparam(name, type_=_c[name].type) for name in ("id", "user_id", *DEFAULTS)
    }
    # now() is the transaction's time: a row created by `lock` gets equal created_at and updated_at.
    new = insert(chat_settings).values({**values, "updated_at": sa.func.now()})
    # greatest() because the later of two concurrent transactions may have started earlier.
    now = sa.func.greatest(new.excluded.updated_at, _c.updated_at)
    columns = {name: new.excluded[name] for name in sorted(changed)}
    saved = new.on_conflict_do_update(
        index_elements=[_c.user_id], set_=columns | {"updated_at": now}
    )
    record = recording.insertion("settings.updated", at=sa.func.now())
    return Statement(record, saved.returning(*CHAT_SETTINGS.columns))


def select_one(connection: Connection, *, user_id: str) -> bytes:
    """Return the document of the user's settings, or of the defaults without storing them."""
    row = _select_one.row(connection, {"acting_user": user_id})
    return _unsaved(user_id) if row is None else CHAT_SETTINGS.write(row)


def lock(connection: Connection, *, user_id: str) -> bytes:
    """Lock the user's settings until the transaction ends, and return their document.

    A user without settings gets a row of defaults to hold the lock, so that a concurrent save waits
    and then sees the first one's changes.
    """
    new = {"acting_user": user_id, "id": new_id(), "user_id": user_id, **DEFAULTS}
    if _insert_defaults.rowcount(connection, new) == 1:
        return _unsaved(user_id)
    return CHAT_SETTINGS.write(_lock.row(connection, {"acting_user": user_id}))


def upsert(connection: Connection, *, user_id: str, changes: Mapping[str, Any]) -> bytes:
    """Change the named settings and return the document; None restores a default."""
    given = {name: DEFAULTS[name] if value is None else value for name, value in changes.items()}
    values = {"acting_user": user_id, "id": new_id(), "user_id": user_id, **DEFAULTS, **given}
    values["change_id"] = new_id()
    row = _upsert(frozenset(changes)).row(connection, values)
    recording.announce(connection, user_id)
    return CHAT_SETTINGS.write(row)


def _unsaved(user_id: str) -> bytes:
    absent = dict.fromkeys(("id", "created_at", "updated_at"))
    return orjson.dumps({**absent, "user_id": user_id, **DEFAULTS})
