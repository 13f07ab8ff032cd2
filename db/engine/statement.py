"""A statement of SQLAlchemy Core that is compiled once, and then run by psycopg2 itself.

SQLAlchemy's own execution looks for the compiled form at each call and wraps what comes back, which
takes longer than all that psycopg2 does. Its connections, its pool and its errors stay in use.

A statement runs as a role to which PostgreSQL shows only the rows of the acting user, so that one
that forgets its owner finds nothing (docs/decisions/0009). Role and user are set in front of it, in
the same message: that is one round trip and, without an open transaction, one transaction, at whose
end both are gone. The session itself is never changed, so a pooler may lend it to others meanwhile.
"""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2.extensions import BYTES, register_type
from sqlalchemy import ClauseElement, Connection
from sqlalchemy.dialects.postgresql.psycopg2 import dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.compiler import SQLCompiler

from db.engine import limit_of, roles, to_json

_AS = "SET LOCAL agent_api.acting_user = %(acting_user)s; SET LOCAL ROLE {role};\n"

_DIALECT = dialect(json_serializer=to_json)  # type: ignore[no-untyped-call]  # it has no types


class Statement:
    """SQL that answers with one row or none, and what its parameters need before psycopg2.

    Values come back as psycopg2 reads them: an array as a list, an enum as str, and text as bytes
    in UTF-8, since the documents that it holds go out as they came.

    It acts as the user of the value `acting_user`, and without one as nobody, who has no rows.
    """

    def __init__(self, statement: ClauseElement, *columns: str, role: str = roles.REQUEST) -> None:
        """Compile; `columns` are those that an INSERT or UPDATE sets to parameters of their name.

        A column with a default in Python has to be among them.
        """
        compiled = statement.compile(dialect=_DIALECT, column_keys=columns or None)
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.prefetch, "a default in Python needs SQLAlchemy's own execution"
        binds = compiled.binds
        given = dict.fromkeys(name for name, bind in binds.items() if bind.required)
        # An IN gets its SQL, and a parameter for each of its values, only in the expanded state.
        expanded = compiled.construct_expanded_state(given)
        processors = {
            name: bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
            for name, bind in binds.items()
        } | dict(expanded.processors)
        self._sql = _AS.format(role=role) + expanded.statement
        self._processors = [(name, use) for name in given if (use := processors.get(name))]
        self._constants = {
            name: use(value) if (use := processors.get(name)) else value
            for name, value in expanded.parameters.items()
            if name not in given
        }

    def scalar(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """The first value of the row, or None without one. More `values` than it takes will do."""
        row = self.row(connection, values)
        return None if row is None else row[0]

    def row(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """The row as a tuple, or None without one."""
        with closing(self._run(connection, values)) as cursor:
            return cursor.fetchone()

    def rowcount(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """How many rows were changed, by a statement that returns none."""
        with closing(self._run(connection, values)) as cursor:
            return cursor.rowcount

    def _run(self, connection: Connection, values: Mapping[str, Any]) -> DBAPICursor:
        parameters = {"acting_user": "", **values, **self._constants}
        for name, process in self._processors:
            parameters[name] = process(parameters[name])
        sql = limit_of(connection) + self._sql
        cursor = connection.connection.cursor()
        register_type(BYTES, cursor)  # type: ignore[arg-type]  # it is psycopg2's
        try:
            cursor.execute(sql, parameters)
        except psycopg2.Error as error:
            # Private, for want of anything public: it raises SQLAlchemy's error for the driver's,
            # and when the connection is lost throws out all that the pool opened before it broke.
            # It is not told the parameters.
            connection._handle_dbapi_exception(error, sql, None, cursor, None)
        return cursor
