"""Queries for a user's chat settings."""

import functools
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from db import documents
from db.models import chat_settings

# What a user has who never saved any, and what a setting goes back to.
DEFAULTS: Mapping[str, Any] = {
    "enabled_tools": [],
    "enabled_agents": [],
    "model": None,
    "temperature": 0.7,
    "max_tokens": 2000,
}

_c = chat_settings.c
_document = documents.chat_settings(_c)
_select_one = sa.select(_document).where(_c.user_id == sa.bindparam("acting_user"))


@functools.cache
def _upsert(changed: frozenset[str]) -> sa.Executable:
    new = insert(chat_settings)
    # Of two saves at once the later one may have the earlier time: hence the greatest.
    now = sa.func.greatest(sa.func.statement_timestamp(), _c.updated_at)
    columns = {name: new.excluded[name] for name in sorted(changed)}
    return new.on_conflict_do_update(
        index_elements=[_c.user_id], set_=columns | {"updated_at": now}
    ).returning(_document)


def select_one(connection: sa.Connection, *, user_id: str) -> dict[str, Any]:
    """The user's settings, or the defaults; reading writes nothing."""
    row: dict[str, Any] | None = connection.scalar(_select_one, {"acting_user": user_id})
    if row is not None:
        return row
    unsaved = dict.fromkeys(("id", "created_at", "updated_at"))
    return unsaved | {"user_id": user_id} | _copy(DEFAULTS)


def upsert(
    connection: sa.Connection, *, user_id: str, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Save settings: None puts one back to its default, and one that is not named stays."""
    given = {name: DEFAULTS[name] if value is None else value for name, value in changes.items()}
    values = {"user_id": user_id, **DEFAULTS, **given}
    row: dict[str, Any] = connection.execute(_upsert(frozenset(changes)), values).scalar_one()
    return row


def _copy(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, list) else value for name, value in settings.items()
    }
