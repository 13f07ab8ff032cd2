"""Lists what the tables lack for requests: columns, and rights of the roles that requests use.

It reads only PostgreSQL's catalogs, so it never waits for a table that a migration has locked.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sqlalchemy import Column

from db.engine import roles
from db.models import (
    Base,
    change_positions,
    changes,
    chat_attachments,
    conversation_agents,
    conversations,
    idempotency_keys,
    links,
    membership_agents,
    membership_tags,
    memberships,
    message_terms,
    message_versions,
    messages,
    published_conversations,
    run_events,
    run_leases,
    run_queue,
    runs,
    shares,
)

Ask = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]
"""Executes a statement with parameters, and returns its rows."""


class _Needs(NamedTuple):
    columns: Iterable[Column[Any]]
    column_rights: list[str]
    table_rights: list[str]


_NEEDS = [
    (
        roles.REQUEST,
        _Needs(
            [column for table in Base.metadata.sorted_tables for column in table.columns],
            ["SELECT", "INSERT", "UPDATE"],
            ["DELETE"],
        ),
    ),
    (
        roles.WORKER,
        _Needs([*conversations.c, *runs.c], ["SELECT", "UPDATE"], []),
    ),
    (
        roles.WORKER,
        _Needs([*messages.c, *run_events.c], ["SELECT", "INSERT"], []),
    ),
    (
        roles.WORKER,
        _Needs([*idempotency_keys.c], ["SELECT", "INSERT", "UPDATE"], []),
    ),
    (
        roles.WORKER,
        _Needs([*changes.c], ["INSERT"], []),
    ),
    (
        roles.WORKER,
        _Needs([*run_queue.c, *run_leases.c], ["SELECT", "INSERT", "UPDATE"], ["DELETE"]),
    ),
    (
        roles.WORKER,
        _Needs([*shares.c], ["SELECT"], []),
    ),
    (
        roles.WORKER,
        _Needs(
            [memberships.c.updated_at, memberships.c.agent_id, memberships.c.unread_count],
            ["SELECT", "UPDATE"],
            [],
        ),
    ),
    *(
        (role, _Needs([messages.c.active, messages.c.sibling_count], ["SELECT", "UPDATE"], []))
        for role in (roles.WORKER, roles.MEMBER)
    ),
    (
        roles.WORKER,
        _Needs([*conversation_agents.c, *membership_agents.c, *message_terms.c], ["INSERT"], []),
    ),
    (
        roles.MEMBER,
        _Needs(
            [
                *conversation_agents.c,
                *membership_agents.c,
                *membership_tags.c,
                *message_terms.c,
            ],
            ["INSERT"],
            [],
        ),
    ),
    (
        roles.MEMBER,
        _Needs([*membership_tags.c], ["SELECT"], ["DELETE"]),
    ),
    (
        roles.MEMBER,
        _Needs([*conversations.c, *messages.c, *run_events.c, *idempotency_keys.c], ["SELECT"], []),
    ),
    (
        roles.MEMBER,
        _Needs([*message_versions.c, *chat_attachments.c], ["SELECT", "INSERT"], []),
    ),
    (
        roles.MEMBER,
        _Needs([*messages.c, *changes.c, *idempotency_keys.c], ["INSERT"], []),
    ),
    (
        roles.MEMBER,
        _Needs(
            [
                *(conversations.c.message_count, conversations.c.indexed_position),
                conversations.c.updated_at,
                conversations.c.last_message_id,
                *(memberships.c.updated_at, memberships.c.agent_id, *idempotency_keys.c),
                *(memberships.c[name] for name in ("archived", "pinned", "tags", "unread_count")),
                *(messages.c.content, messages.c.metadata, messages.c.details),
                message_terms.c.terms,
                messages.c.feedback,
            ],
            ["UPDATE"],
            [],
        ),
    ),
    (
        roles.MEMBER,
        _Needs([*shares.c, *memberships.c], ["SELECT"], ["DELETE"]),
    ),
    (
        roles.MEMBER,
        _Needs([runs.c.id, runs.c.created_by, runs.c.last_sequence], ["SELECT"], []),
    ),
    (
        roles.PUBLIC,
        _Needs([*published_conversations.c], ["SELECT"], []),
    ),
    (
        roles.EXISTENCE,
        _Needs(
            [
                *(conversations.c.id, conversations.c.user_id, conversations.c.archived),
                *(conversations.c.source, conversations.c.agent_id, conversations.c.updated_at),
                *(conversations.c.last_position, conversations.c.indexed_position),
                *(*conversation_agents.c, *message_terms.c),
                *(messages.c.id, messages.c.user_id, messages.c.conversation_id),
                *(chat_attachments.c.id, chat_attachments.c.user_id),
                *(runs.c.id, runs.c.created_by, runs.c.last_sequence, runs.c.status),
                *(runs.c.has_transient, runs.c.finished_at, runs.c.conversation_id),
                *(changes.c.id, changes.c.user_id, changes.c.sequence),
                *(change_positions.c.user_id, change_positions.c.last_sequence),
                run_queue.c.agent_id,
                *(run_leases.c.run_id, run_leases.c.user_id, run_leases.c.expires_at),
                *(links.c.id, links.c.user_id, links.c.expires_at),
            ],
            ["SELECT"],
            [],
        ),
    ),
]

# A name resolves to NULL if its schema is not in the search path or the role may not use it.
_MISSING_COLUMNS = """
SELECT DISTINCT needed.relation || '.' || needed.name
FROM unnest(%(relations)s, %(names)s) AS needed(relation, name)
LEFT JOIN pg_attribute AS a ON a.attrelid = to_regclass(needed.relation)
  AND a.attname = needed.name AND NOT a.attisdropped
WHERE a.attname IS NULL ORDER BY 1
"""
_MISSING_RIGHTS = """
SELECT DISTINCT wanted || ' ON ' || needed.relation
FROM unnest(%(relations)s, %(names)s) AS needed(relation, name)
JOIN pg_attribute AS a ON a.attrelid = to_regclass(needed.relation) AND a.attname = needed.name
CROSS JOIN unnest(%(column_rights)s || %(table_rights)s) AS wanted
WHERE NOT CASE WHEN wanted = ANY (%(table_rights)s) THEN has_table_privilege(a.attrelid, wanted)
          ELSE has_column_privilege(a.attrelid, a.attnum, wanted) END
ORDER BY 1
"""


def unmet(ask: Ask) -> str | None:
    """Return a sentence about the first role for which something is missing, or None."""
    for role, needs in _NEEDS:
        parameters = {
            "relations": [column.table.name for column in needs.columns],
            "names": [column.name for column in needs.columns],
            "column_rights": needs.column_rights,
            "table_rights": needs.table_rights,
        }
        act_as = f"SET LOCAL ROLE {role};\n"
        missing = [name for (name,) in ask(act_as + _MISSING_COLUMNS, parameters)]
        if missing:
            return f"The role {role} cannot find {_some(missing)} in the schema."
        missing = [name for (name,) in ask(act_as + _MISSING_RIGHTS, parameters)]
        if missing:
            return f"The role {role} lacks a right: run GRANT {_some(missing)} TO {role}."
    return None


def _some(names: list[str]) -> str:
    """Return up to three names; a longer list would hide the point."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
