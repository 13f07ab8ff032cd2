"""Checks the schema: migrations, and the roles that requests use."""

from collections.abc import Iterator
from pathlib import Path

from agent_api.doctor.advice import advice_for
from agent_api.doctor.finding import Finding, count, error, ok, warning
from db.engine import Connection
from db.errors import Failure, describe
from db.inspection import schema


def check_roles(connection: Connection, user: str) -> Iterator[Finding]:
    """Yield whether the roles exist, and whether the user may act as them."""
    missing, unusable = schema.unusable_roles(connection)
    if missing:
        statements = " ".join(f"CREATE ROLE {name} NOLOGIN;" for name in missing)
        yield error(
            "roles",
            f"Missing: {', '.join(missing)}",
            f"Run agent-api migrate. If {user} may not create roles, an administrator must run:"
            f' {statements} GRANT {", ".join(missing)} TO "{user}";',
        )
    if unusable:
        yield error(
            "roles",
            f"The user {user} is not a member of {', '.join(unusable)}",
            f'An administrator must run: GRANT {", ".join(unusable)} TO "{user}";',
        )
    if not missing and not unusable:
        yield ok("roles", f"{user} can act as all roles of requests")


def check_migrations(connection: Connection, folder: Path, is_embedded: bool) -> Iterator[Finding]:
    """Yield whether the schema is current, and whether requests can use it."""
    found = schema.progress(connection, folder)
    if found is None:
        yield error(
            "migrations",
            "The user may not read the table alembic_version",
            "Its owner must run: GRANT SELECT ON alembic_version TO that user.",
        )
        return
    if found.is_migrating:
        yield warning(
            "migrations",
            "Another session is migrating the database",
            "Wait for it, and run this command again.",
        )
    elif found.ahead is not None:
        yield warning(
            "migrations",
            found.ahead,
            "Install the version that migrated it, unless servers are being replaced right now.",
        )
    elif found.missing:
        text = f"{count(len(found.missing), 'migration')} to apply: {', '.join(found.missing)}"
        if is_embedded:
            yield warning("migrations", text, "Run agent-api serve, which applies them.")
        else:
            yield error("migrations", text, "Run agent-api migrate.")
    else:
        yield ok("migrations", f"The schema is at {found.head}, the newest revision")
    for text in found.unfinished:
        yield warning(
            "migrations",
            f"The {text}",
            "A statement was interrupted: run REINDEX INDEX CONCURRENTLY, or ALTER TABLE ..."
            " VALIDATE CONSTRAINT.",
        )
    if found.missing or found.is_migrating:
        return
    if (reason := schema.unmet(connection)) is not None:
        text, _, remedy = reason.partition(": ")
        yield error("rights", text, remedy or "Run agent-api migrate --check, and restore them.")
        return
    yield ok("rights", "The roles have all rights on all tables")
    yield from _check_search(connection)


def _check_search(connection: Connection) -> Iterator[Finding]:
    try:
        behind = schema.conversations_behind(connection)
    except Failure as failure:  # for example because a node of Citus is away
        if connection.is_closed():
            raise
        yield error("search", describe(failure), advice_for(failure))
        return
    if behind:
        some = ("more than " if behind > 1000 else "") + count(min(behind, 1000), "conversation")
        yield warning(
            "search",
            f"Search does not find all messages of {some} yet",
            "Servers index 5,000 messages a minute; agent-api index is faster.",
        )
    else:
        yield ok("search", "All messages are indexed")
