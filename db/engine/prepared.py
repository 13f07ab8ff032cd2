"""Prepares statements, so that PostgreSQL plans them once per connection instead of each time.

A prepared statement belongs to a session. A pooler lends a session to others between transactions,
so behind a pooler nothing is prepared. A pooler is recognised by its process id: it answers the
start of a connection itself, before it knows which of the server's sessions will be used.

Nobody else uses the session of a direct connection, so a prepared statement also relies on the
settings with which it was opened, instead of setting them again.
"""

import re
from itertools import count
from typing import NamedTuple

from db.engine import session
from db.engine.connections.connection import Connection

_numbers = count(1)
_CHANGE = re.compile(r"\b(INSERT|UPDATE|DELETE)(?: INTO| FROM| \w+ SET)\b")
# A parameter of psycopg2, with the cast that SQLAlchemy adds for some types.
_PARAMETER = re.compile(r"%\(\w+\)s(?:::\w+(?:\(\d+\))?(?:\[\])?)?")


class Prepared(NamedTuple):
    """The SQL that prepares a statement, and the SQL that executes it."""

    name: str
    prepare: str
    execute: str


def compile_sql(sql: str) -> Prepared:
    """Return the prepared form of a statement with psycopg2's parameters."""
    parameters = list(dict.fromkeys(_PARAMETER.findall(sql)))
    numbered = _PARAMETER.sub(lambda match: f"${1 + parameters.index(match[0])}", sql)
    name = f"{verb(sql).lower()}_{next(_numbers)}"  # a trace shows the verb
    arguments = f" ({', '.join(parameters)})" if parameters else ""
    return Prepared(
        name, f"PREPARE {name} AS {numbered.replace('%%', '%')}", f"EXECUTE {name}{arguments}"
    )


def verb(sql: str) -> str:
    """Return the verb of a statement; for WITH that of its last change of rows, or SELECT."""
    first = sql.split(maxsplit=1)[0].upper()
    return (_CHANGE.findall(sql) or ["SELECT"])[-1] if first == "WITH" else first


def ensure(connection: Connection, statements: list[Prepared]) -> bool:
    """Prepare what the connection does not have yet; return False if it must not prepare."""
    if connection.prepared is None:
        return False
    if not connection.is_direct:
        cursor = connection.execute("SELECT pg_backend_pid()")
        ((pid,),) = cursor.fetchall()
        cursor.close()
        if pid != connection.backend_pid:
            connection.prepared = None
            return False
        if settings := session.set_for(connection.server_version):
            connection.execute(settings).close()
        connection.is_direct = True
    for statement in statements:
        if statement.name not in connection.prepared:
            connection.execute(connection.settings + statement.prepare).close()
            connection.prepared.add(statement.name)
    return True
