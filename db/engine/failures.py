"""Translates errors of psycopg2 and SQLAlchemy to those of `db.errors`."""

from typing import Any

from sqlalchemy import exc

from db.errors import Failure, Refused, Timeout, TooLarge, Unavailable

READ_ONLY = "25006"


def failure_of(error: exc.TimeoutError | exc.DBAPIError) -> Failure | None:
    """Return the Failure that callers handle, or None if the error is a defect."""
    if isinstance(error, exc.TimeoutError):
        return Unavailable("no connection came free in time")
    # https://www.postgresql.org/docs/current/errcodes-appendix.html
    code: str | None = getattr(error.orig, "pgcode", None)
    if code == READ_ONLY:
        return Unavailable("the database is read-only")
    if error.connection_invalidated:
        return Unavailable("the connection to the database was lost")
    if code in ("57014", "55P03"):
        return Timeout("a statement took too long")
    if code in ("40001", "40P01"):
        return Unavailable("another transaction was in the way")
    if code == "54000":
        return TooLarge("the answer would be too large")
    # PostgreSQL's messages may be in any language, so these cases are told apart by its C function:
    # a row that violates a policy is a defect; a rejected setting is a role that does not exist.
    origin = None if error.orig is None else getattr(error.orig, "diag", error.orig)
    where = getattr(origin, "source_function", None)
    if code == "42501" and where == "ExecWithCheckOptions":
        return None
    if code in ("42P01", "42703", "3F000", "42501") or where == "call_string_check_hook":
        return Unavailable("the schema is not what this version needs, or may not be used")
    # 08: connection; 53: no connections, memory or disk left; 57P: shutting down or starting.
    if code is not None and code.startswith(("08", "53", "57P")):
        return Unavailable("the database cannot take the work now")
    if code is None and isinstance(error, (exc.OperationalError, exc.InterfaceError)):
        return Unavailable("the database cannot be reached")
    return None


def refused(driver: Any) -> Refused:
    """Return the error for a refused statement, without the data that the driver quotes."""
    diagnostics: Any = getattr(driver, "diag", None)
    names = {
        kind: name
        for kind in ("table", "column", "datatype", "constraint")
        if (name := getattr(diagnostics, f"{kind}_name", None)) is not None
    }
    parts = [f"{type(driver).__name__}, SQLSTATE {getattr(driver, 'pgcode', None)}"]
    parts += [f"{kind} {name}" for kind, name in names.items()]
    return Refused(", ".join(parts))
