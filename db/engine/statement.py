"""Compiles a SQLAlchemy Core statement once and executes it directly with psycopg2.

SQLAlchemy's own execution looks up the compiled form at each call and wraps the result, which takes
longer than all of psycopg2's work.

PostgreSQL shows a statement's role only the rows of the acting user, so a statement that forgets
the owner never returns another user's rows (docs/decisions/0009). Role and user are set in front of
the statement in the same message: one round trip, and both settings end with the transaction. The
session never changes, so a pooler may lend it to other clients in between. Distributed tables need
another way to set them: see `shards`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

import orjson
from psycopg2.extensions import cursor
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.psycopg2 import dialect
from sqlalchemy.sql.compiler import SQLCompiler

from db.engine import prepared, roles, shards
from db.engine.acting import MemberGrant, current_grant
from db.engine.connections.connection import Connection
from db.engine.unit_of_work import is_distributed

# Without an alias, Citus 13 omits the table that RETURNING names from an INSERT with a SELECT.
_INSERT = re.compile(r"^INSERT INTO (\w+) \(")
_PARAMETER = re.compile(r"%\((\w+)\)s")

AT_ONCE = 200
"""How often one message executes a statement at most. In longer messages each one takes longer, and
there is one time limit for the whole message."""


def _act_as(role: str) -> str:
    settings = ("acting_user", *roles.SETTINGS.get(role, ()))
    sets = "".join(f"SET LOCAL agent_api.{name} = %({name})s; " for name in settings)
    return f"{sets}SET LOCAL ROLE {role};\n"


class _Messages:
    """What is sent to execute statements as a role.

    A role has its own prepared statements, because a plan contains the policies of one role.
    """

    def __init__(self, sql: list[str], role: str) -> None:
        act_as = _act_as(role)
        self.plain = act_as + ";\n".join(sql)
        self.to_shards = shards.act_as(role) + ";\n".join(sql)
        self.prepared = [prepared.compile_sql(statement) for statement in sql]
        self.to_execute = act_as + ";\n".join(statement.execute for statement in self.prepared)


class Statement:
    """One or more compiled statements, sent together. They return the rows of the last one.

    Without an open transaction they form one. Values are returned as psycopg2 reads them: an array
    as a list, JSON, a UUID, an enum and a timestamp without time zone as str.

    The value `acting_user` names the user whose rows are visible. Without it no row is visible.
    Under a grant, statements of requests have its role and settings. Other statements of roles with
    settings (`roles.SETTINGS`) take them from the values.
    The value `reader` is the caller: the member if the acting user is the owner of what is shared
    with the member.
    """

    def __init__(
        self,
        *statements: ClauseElement,
        columns: Iterable[str] = (),
        role: str = roles.REQUEST,
        prepare: bool = True,
    ) -> None:
        """Compile. An INSERT or UPDATE sets each of `columns` to the parameter of its name.

        They must include every column with a Python default. Without `prepare`, PostgreSQL plans
        each execution, for a statement whose best plan depends on the values.
        """
        self.sql: list[str] = []
        self._processors: dict[str, Callable[[Any], Any]] = {}
        self._constants: dict[str, Any] = {}
        for statement in statements:
            self._compile(statement, columns)
        self._prepares = prepare
        self._role = role
        self._messages = {role: _Messages(self.sql, role)}

    def _compile(self, statement: ClauseElement, columns: Iterable[str]) -> None:
        compiled = statement.compile(dialect=_DIALECT, column_keys=list(columns) or None)
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.prefetch, "a default in Python needs SQLAlchemy's own execution"
        binds = compiled.binds
        given = dict.fromkeys(name for name, bind in binds.items() if bind.required)
        # IN gets its SQL and one parameter for each value only in the expanded state.
        expanded = compiled.construct_expanded_state(given)
        processors = {
            name: bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
            for name, bind in binds.items()
        } | dict(expanded.processors)
        self.sql.append(_INSERT.sub(r"INSERT INTO \1 AS \1 (", expanded.statement))
        self._processors |= {name: use for name in given if (use := processors.get(name))}
        constants = {
            name: use(value) if (use := processors.get(name)) else value
            for name, value in expanded.parameters.items()
            if name not in given
        }
        shared = constants.keys() & self._constants.keys()
        assert all(constants[name] == self._constants[name] for name in shared), "ambiguous name"
        self._constants |= constants

    def scalar(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Return the row's first value, or None without a row. Surplus `values` are ignored."""
        row = self.row(connection, values)
        return None if row is None else row[0]

    def row(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Return the row as a tuple, or None without a row."""
        with closing(self._run(connection, values)) as result:
            return result.fetchone()

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows."""
        with closing(self._run(connection, values)) as result:
            return list(result.fetchall())

    def rowcount(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Execute a statement without RETURNING, and return the number of changed rows."""
        with closing(self._run(connection, values)) as result:
            return result.rowcount

    def execute_each(self, connection: Connection, values: Sequence[Mapping[str, Any]]) -> None:
        """Execute once with each of the values, in their order.

        Up to AT_ONCE are sent in one message; more need a transaction.
        """
        for start in range(0, len(values), AT_ONCE):
            self._execute_together(connection, values[start : start + AT_ONCE])

    def _execute_together(
        self, connection: Connection, values: Sequence[Mapping[str, Any]]
    ) -> None:
        messages: list[str] = []
        parameters: dict[str, Any] = {}
        for number, each in enumerate(values):
            message, given = self._message(connection, each)
            if number:
                message = message.removeprefix(connection.settings)
                message = _PARAMETER.sub(rf"%(\1_{number})s", message)
                given = {f"{name}_{number}": value for name, value in given.items()}
            messages.append(message)
            parameters |= given
        connection.execute(";\n".join(messages), parameters).close()

    def _run(self, connection: Connection, values: Mapping[str, Any]) -> cursor:
        return connection.execute(*self._message(connection, values))

    def _message(
        self, connection: Connection, values: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """Return what to send to execute the statements, and its parameters."""
        role, grant = self._role, current_grant()
        if grant is not None and role == roles.REQUEST:
            role = grant.role
        settings = dict.fromkeys(("acting_user", *roles.SETTINGS.get(role, ())), "")
        parameters = {**settings, **values, **self._constants}
        parameters["reader"] = (
            grant.member_id if isinstance(grant, MemberGrant) else parameters["acting_user"]
        )
        if grant is not None and grant.role == role:
            parameters |= grant.settings()
        messages = self._messages.get(role)
        if messages is None:
            messages = self._messages[role] = _Messages(self.sql, role)
        for name, process in self._processors.items():
            parameters[name] = process(parameters[name])
        if is_distributed(connection):
            return connection.settings + messages.to_shards, parameters
        if self._prepares and prepared.ensure(connection, messages.prepared):
            return messages.to_execute, parameters  # the session has the settings
        return connection.settings + messages.plain, parameters


def _to_json(value: Any) -> str:
    """Serialise to text, as SQLAlchemy requires."""
    return orjson.dumps(value).decode()


_DIALECT = dialect(json_serializer=_to_json)  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects are untyped
