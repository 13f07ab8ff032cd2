"""Queries for a user's chat settings."""

import functools
from collections.abc import Mapping
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from db import documents
from db.engine.statement import Statement
from db.models import chat_settings, new_id

# What a user has who never saved any, and what a setting goes back to.
DEFAULTS: Mapping[str, Any] = {
    "enabled_tools": [],
    "enabled_agents": [],
    "model": None,
    "temperature": 0.7,
    "max_tokens": 2000,
}

_c = chat_settings.c
_document = documents.text(documents.chat_settings(_c))
_saved = sa.select(_document).where(_c.user_id == sa.bindparam("acting_user"))
_select_one = Statement(_saved)
_lock = Statement(_saved.with_for_update())
_insert_defaults = Statement(
    insert(chat_settings).on_conflict_do_nothing(index_elements=[_c.user_id]),
    "id",
    "user_id",
    *DEFAULTS,
)


@functools.cache
def _upsert(changed: frozenset[str]) -> Statement:
    new = insert(chat_settings)
    # The transaction's time, so that what is saved after `lock` has made the row is as old as it.
    # Of two saves at once the later one may have the earlier time: hence the greatest.
    now = sa.func.greatest(sa.func.now(), _c.updated_at)
    columns = {name: new.excluded[name] for name in sorted(changed)}
    saved = new.on_conflict_do_update(
        index_elements=[_c.user_id], set_=columns | {"updated_at": now}
    )
    return Statement(saved.returning(_document), "id", "user_id", *DEFAULTS)


def select_one(connection: sa.Connection, *, user_id: str) -> bytes:
    """The document of the user's settings, or of the defaults; reading writes nothing."""
    saved: bytes | None = _select_one.scalar(connection, {"acting_user": user_id})
    return _unsaved(user_id) if saved is None else saved


def lock(connection: sa.Connection, *, user_id: str) -> bytes:
    """The same, and nobody else can save any before the transaction ends.

    A user who has none gets a row of defaults to hold the lock: of two who save at once the second
    waits, and then finds what the first has saved.
    """
    new = {"acting_user": user_id, "id": new_id(), "user_id": user_id, **DEFAULTS}
    if _insert_defaults.rowcount(connection, new) == 1:
        return _unsaved(user_id)
    saved: bytes = _lock.scalar(connection, {"acting_user": user_id})
    return saved


def upsert(connection: sa.Connection, *, user_id: str, changes: Mapping[str, Any]) -> bytes:
    """Save settings, and return their document.

    None puts a setting back to its default, and one that is not named stays.
    """
    given = {name: DEFAULTS[name] if value is None else value for name, value in changes.items()}
    values = {"acting_user": user_id, "id": new_id(), "user_id": user_id, **DEFAULTS, **given}
    saved: bytes = _upsert(frozenset(changes)).scalar(connection, values)
    return saved


def _unsaved(user_id: str) -> bytes:
    never = dict.fromkeys(("id", "created_at", "updated_at"))
    return orjson.dumps({**never, "user_id": user_id, **DEFAULTS})
