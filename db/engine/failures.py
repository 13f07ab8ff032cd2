"""Translates errors of psycopg2 to those of `db.errors`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.errors
from sqlalchemy import exc

from db.errors import Busy, Failure, Reference, Refused, Timeout, TooLarge, Unavailable

# Citus reports these without a code. It does not translate its messages.
_NODE_FAILED = (
    "failure on connection marked as essential",
    "could not commit transaction for shard",
    "failed to prepare transaction",
    "postmaster was shut down",  # that of the coordinator, while it waited for a node
)


class ConnectionLost(psycopg2.OperationalError):
    """The connection has ended. Whether the last statement was executed is unknown."""


class NoResponse(ConnectionLost):
    """The server did not respond in time."""


class PoolTimeout(psycopg2.OperationalError):
    """No connection became free in time."""


def is_read_only(error: BaseException | None) -> bool:
    """Return whether a server refused to write: it is a standby, or its storage is full.

    A standby also refuses SET TRANSACTION READ WRITE, as not supported, and to tell the end of its
    log (`replica`).
    """
    refusal = (getattr(error, "pgcode", None), _function(error))
    others = (("0A000", "call_bool_check_hook"), ("55000", "pg_current_wal_insert_lsn"))
    return refusal[0] == "25006" or refusal in others


def is_node_failed(error: psycopg2.Error) -> bool:
    """Return whether Citus lost the connection to a worker, or the coordinator was killed."""
    return error.pgcode == "XX000" and (error.diag.message_primary or "").startswith(_NODE_FAILED)


def is_stale_plan(error: BaseException | None) -> bool:
    """Return whether a migration changed the type of a column that a prepared statement returns."""
    code = getattr(error, "pgcode", None)
    return code == "0A000" and _function(error) == "RevalidateCachedQuery"


def _function(error: Any) -> str | None:
    """Return the C function that raised the error. Unlike its message, it is never translated."""
    function: str | None = getattr(getattr(error, "diag", None), "source_function", None)
    return function


def _severity(error: psycopg2.Error) -> str | None:
    """Return ERROR or FATAL, or None. PgBouncer only sends the field that may be translated."""
    return error.diag.severity_nonlocalized or error.diag.severity


def leads_elsewhere(error: psycopg2.Error) -> bool:
    """Return whether a new connection may not have the error, and nor may those opened later.

    If a server refused a write or stops, another host may be the primary by now.
    """
    # A server that stops ends the session: FATAL. Citus reports workers that stop as an ERROR.
    ends = (error.pgcode or "").startswith(("08", "57P")) and _severity(error) != "ERROR"
    return ends or is_read_only(error) or is_stale_plan(error)


def failure_of(raised: psycopg2.Error | exc.DBAPIError) -> Failure | None:
    """Return the Failure that callers handle, or None if the error is a defect."""
    if isinstance(raised, PoolTimeout):
        return Busy("no connection came free in time")
    error = _driver_error(raised)
    is_lost = isinstance(error, ConnectionLost) or getattr(raised, "connection_invalidated", False)
    # https://www.postgresql.org/docs/current/errcodes-appendix.html
    code: str | None = getattr(error, "pgcode", None)
    if is_read_only(error):
        return Unavailable("the database is read-only")
    if is_lost or is_stale_plan(error):  # both need a new connection
        return Unavailable("the connection to the database was lost")
    if is_node_failed(error):
        return Unavailable("the connection to a node was lost")
    if code in ("57014", "55P03"):
        return Timeout("a statement took too long")
    if code in ("40001", "40P01"):
        return Unavailable("another transaction was in the way")
    if code == "54000":
        return TooLarge("the answer would be too large")
    # A row that violates a policy is a defect; a rejected setting is a role that does not exist.
    where = _function(error)
    if code == "42501" and where == "ExecWithCheckOptions":
        return None
    if code in ("42P01", "42703", "3F000", "42501") or where == "call_string_check_hook":
        return Unavailable("the schema is not what this version needs, or may not be used")
    # 08: connection; 53: no connections, memory or disk left; 57P: shutting down or starting.
    if code is not None and code.startswith(("08", "53", "57P")):
        return Unavailable("the database cannot take the work now")
    if code is None and isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
        return Unavailable("the database cannot be reached")
    return None


def _driver_error(raised: Exception) -> Any:
    """Return psycopg2's error, which SQLAlchemy wraps for migrations."""
    return getattr(raised, "orig", raised)


def refused(raised: psycopg2.Error | exc.DBAPIError) -> Refused:
    """Return the error for a refused statement, without the data that the driver quotes."""
    driver = _driver_error(raised)
    diagnostics: Any = getattr(driver, "diag", None)
    names = {
        kind: name
        for kind in ("table", "column", "datatype", "constraint")
        if (name := getattr(diagnostics, f"{kind}_name", None)) is not None
    }
    parts = [f"{type(driver).__name__}, SQLSTATE {getattr(driver, 'pgcode', None)}"]
    parts += [f"{kind} {name}" for kind, name in names.items()]
    return Refused(", ".join(parts))


@contextmanager
def reference(field: str) -> Iterator[None]:
    """Raise Reference(field) if the statement's row refers to a row that the user does not have.

    The statement must have one such field only: distributed tables do not name the constraint.
    """
    try:
        yield
    except psycopg2.errors.ForeignKeyViolation:
        raise Reference(field) from None
