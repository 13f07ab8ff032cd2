"""Defines the PostgreSQL settings that statements depend on, and the SQL that sets them.

A role, a database or the server may define other values, and a pooler drops the options of a
connection and lends sessions that other clients have changed. Therefore every statement sets them
for its own transaction. Each SET takes about 1.5 us of PostgreSQL's CPU.
"""

import re

from sqlalchemy import URL

SEARCH_PATH = "public, pg_temp"
"""Temporary tables of another client would otherwise come before ours."""
IDLE_IN_TRANSACTION_SECONDS = 60
"""A transaction whose server is suspended or unreachable ends after this time."""

_OPTION = re.compile(r"(?:-c\s*|--)(?P<name>[\w.-]+)=(?P<value>(?:\\.|[^\s\\])*)")
_ACCESS_MODES = {"off": "READ WRITE"}


def settings(address: URL, *, statement_timeout_ms: int) -> dict[str, str]:
    """Return the settings by name; those in the `options` of the URL take precedence."""
    ours = {
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
        "search_path": SEARCH_PATH,
        "row_security": "on",
        "extra_float_digits": "1",
        "datestyle": "ISO",
        "statement_timeout": str(statement_timeout_ms),
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_SECONDS * 1000),
    }
    given = {
        match["name"].replace("-", "_"): re.sub(r"\\(.)", r"\1", match["value"])
        for match in _OPTION.finditer(str(address.query.get("options", "")))
    }
    return {name: given.get(name, value) for name, value in ours.items()}


def set_local(settings: dict[str, str]) -> str:
    """Return SQL that applies the settings to the current transaction.

    It must come before the transaction's first query, and may be repeated later.
    """
    rest = dict(settings)
    isolation = rest.pop("default_transaction_isolation")
    access = _ACCESS_MODES.get(rest.pop("default_transaction_read_only"), "READ ONLY")
    statements = [f"SET TRANSACTION ISOLATION LEVEL {isolation}, {access}"]
    statements += [f"SET LOCAL {name} = {_quoted(name, value)}" for name, value in rest.items()]
    return "; ".join(statements) + ";\n"


def set_local_for(server_version: int) -> str:
    """Return SQL for settings that older versions of PostgreSQL do not have."""
    return "SET LOCAL transaction_timeout = 0;\n" if server_version >= 170000 else ""


def set_for(server_version: int) -> str:
    """Return SQL that applies them to the session; all others are options of the connection."""
    return set_local_for(server_version).replace("SET LOCAL", "SET")


def _quoted(name: str, value: str) -> str:
    """Quote a value, except the list of schemas, in which only names may be quoted."""
    return value if name == "search_path" else "'" + value.replace("'", "''") + "'"
