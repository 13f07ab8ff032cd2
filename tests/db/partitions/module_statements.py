"""Finds the statements of the modules of the database layer, and their names."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import db
from db import access, chat_settings, feedback, idempotency_keys, live, rate_limits, runs
from db.attachments import attachment_links, chat_attachments
from db.branches import (
    activation,
    agents_left,
    copies,
    deletion,
    forks,
    members,
    pages,
    paths,
    posting,
)
from db.branches import rows as places_of_messages
from db.change_log import change_positions, changes
from db.conversations import conversation_deletion, conversation_lists, conversations
from db.engine.statement import Statement
from db.execution import (
    busy,
    cancellation,
    claims,
    expiry,
    run_events,
    run_leases,
    run_queue,
    transient_events,
    turns,
    waiting_runs,
)
from db.messages import message_edits, message_insertion, message_versions, messages
from db.models import Base
from db.organising import bulk, own_view
from db.organising import reading as marking
from db.publishing import links, published, snapshots
from db.search import backlog, index, messages_found, ranking, search
from db.sharing import list_documents, lists, memberships, shared_objects, shares, telling

MODULES = (
    *(
        access,
        activation,
        agents_left,
        attachment_links,
        backlog,
        bulk,
        busy,
        cancellation,
        change_positions,
    ),
    *(changes, copies, deletion, forks, members, pages, paths, places_of_messages, posting),
    *(chat_attachments, chat_settings, claims, conversation_deletion, conversation_lists),
    *(conversations, expiry, feedback, idempotency_keys, links, list_documents, lists, live),
    *(marking, memberships, message_edits, message_insertion, message_versions, messages),
    *(index, messages_found, own_view, published, ranking, rate_limits, search, snapshots),
    *(run_events, run_leases, run_queue, runs, shared_objects, shares, telling),
    *(transient_events, turns, waiting_runs),
)

_OF_TABLE = re.compile(rf"\b(?:FROM|INTO|UPDATE) ({'|'.join(Base.metadata.tables)})\b")


def names() -> dict[str, str]:
    """Return the name of each statement that a module of the database layer holds."""
    return {
        sql: f"{module.__name__.removeprefix('db.')}.{name}"
        for module in MODULES
        for name, value in vars(module).items()
        for statement in statements_in(value)
        for sql in statement.sql
    }


def builders() -> dict[str, Any]:
    """Return the functions that build statements for given filters or columns."""
    return {
        f"{module.__name__}.{name}": value
        for module in MODULES
        for name, value in vars(module).items()
        if hasattr(value, "cache_info")
    }


def written() -> dict[str, str]:
    """Return the SQL of our tables that a module holds as text, by its name."""
    modules = [
        importlib.import_module(each.name) for each in pkgutil.walk_packages(db.__path__, "db.")
    ]
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, str) and _OF_TABLE.search(value)
    }


def statements_in(value: Any) -> Iterator[Statement]:
    """Yield the statements that a value of a module is or contains."""
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, dict):
        yield from (each for each in value.values() if isinstance(each, Statement))
    elif type(value).__module__.startswith("db.paging"):
        yield from statements_in(vars(value))
