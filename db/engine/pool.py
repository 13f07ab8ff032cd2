"""Owns the connection pool; lends connections in autocommit mode or for a transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg2.extensions import cursor
from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event, exc
from sqlalchemy.engine import ExceptionContext

from db.engine.address import connect_args, normalise
from db.engine.failures import READ_ONLY, failure_of, refused
from db.engine.watchdog import InterruptibleConnection, Watchdog

CONNECT_SECONDS = 5
POOL_WAIT_SECONDS = 5
ANSWER_SECONDS = 1
"""Time for a response to arrive, in addition to the server's statement_timeout."""


@dataclass(frozen=True)
class Hooks:
    """Extension points for metrics and tracing; the defaults cost nothing."""

    pool_class: type[QueuePool] = QueuePool
    cursor_factory: type[cursor] = cursor
    on_failure: Callable[[Exception], None] | None = None
    """Called with each database error: a Failure, or SQLAlchemy's error if it has no Failure."""


_TIMEOUT_SQL = "agent_api_timeout_sql"


@dataclass(frozen=True)
class _Engines:
    url: str
    reading: Engine
    writing: Engine
    hooks: Hooks
    watchdog: Watchdog


_engines: _Engines | None = None

# Each thread starts with its own context, so this is never another thread's transaction.
_enclosing: ContextVar[Connection | None] = ContextVar("enclosing transaction", default=None)


def configure(
    url: str, *, pool_size: int, statement_timeout_ms: int, hooks: Hooks | None = None
) -> None:
    """Create the pool that `autocommit` and `transaction` use, without connecting.

    Raises ValueError if the URL is not a PostgreSQL URL.
    """
    global _engines  # noqa: PLW0603 (the program's only global)
    address = normalise(url)
    hooks = hooks or Hooks()
    timeout_sql = f"SET LOCAL statement_timeout = {statement_timeout_ms}; "
    if "statement_timeout" in str(address.query.get("options", "")):
        timeout_sql = ""  # the URL takes precedence
    reading = create_engine(
        address,
        # A pooler drops the session settings below, so each statement repeats the timeout.
        execution_options={_TIMEOUT_SQL: timeout_sql},
        # Set here because setting it at each checkout costs more than it saves.
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        connect_args=connect_args(
            address,
            connect_timeout=CONNECT_SECONDS,
            settings={"statement_timeout": statement_timeout_ms, "timezone": "UTC", "jit": "off"},
        )
        | {
            "connection_factory": InterruptibleConnection,
            "cursor_factory": hooks.cursor_factory,
        },
        poolclass=hooks.pool_class,
        # An overflow connection would be opened and closed for each use.
        # With LIFO, connections that are no longer needed stay idle and the server may end them.
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_use_lifo=True,
        json_serializer=to_json,
        json_deserializer=orjson.loads,
        # Looking up the hstore type would cost each new connection a round trip.
        use_native_hstore=False,
        # An exception's text must not carry message content into a log.
        hide_parameters=True,
    )
    event.listen(reading, "handle_error", _leave_read_only)
    watchdog = Watchdog(reading, statement_timeout_ms / 1000 + ANSWER_SECONDS)
    # Both engines share one pool. Only transactions pay for changing a connection's isolation
    # level and changing it back; psycopg2 does both without a round trip.
    writing = reading.execution_options(isolation_level="READ COMMITTED")
    dispose()
    _engines = _Engines(url, reading, writing, hooks, watchdog)


def dispose() -> None:
    """Close the pool; call `configure` before using it again."""
    global _engines  # noqa: PLW0603 (the program's only global)
    if _engines is not None:
        _engines.reading.dispose()
        _engines.watchdog.stop()
        _engines = None


def url() -> str:
    """Return the database's URL, for connecting outside the pool."""
    return _configured().url


@contextmanager
def autocommit() -> Iterator[Connection]:
    """Yield a connection that commits each statement: for reads and one-statement writes.

    Inside a `transaction()` it yields that transaction's connection. Raises Unavailable and
    Timeout.
    """
    with translated():
        joined = _enclosing.get()
        if joined is not None:
            yield joined
            return
        with _configured().reading.connect() as connection:
            yield connection


@contextmanager
def transaction() -> Iterator[Connection]:
    """Yield a connection in a transaction, which commits unless the block raises an exception.

    Inside another `transaction()` it joins that one, so an exception must reach the outer block:
    do not catch it in between. Raises Unavailable and Timeout.
    """
    with translated():
        joined = _enclosing.get()
        if joined is not None:
            yield joined
            return
        with _configured().writing.begin() as connection:
            token = _enclosing.set(connection)
            try:
                yield connection
            finally:
                _enclosing.reset(token)


def timeout_sql(connection: Connection) -> str:
    """Return the SQL that sets the timeout, to be sent in front of a statement."""
    sql: str = connection.get_execution_options().get(_TIMEOUT_SQL, "")
    return sql


def _configured() -> _Engines:
    if _engines is None:
        raise RuntimeError("db.engine.configure() has not been called")
    return _engines


def _leave_read_only(context: ExceptionContext) -> None:
    """Reconnect after a server refused a write: another host may be the primary by now."""
    if getattr(context.original_exception, "pgcode", None) == READ_ONLY:
        context.is_disconnect = True


@contextmanager
def translated() -> Iterator[None]:
    """Raise a Failure if the database is unreachable, busy or slow.

    All other database errors are defects, such as a violated constraint: they become Refused.
    """
    try:
        yield
    except (exc.TimeoutError, exc.DBAPIError) as error:
        failure = failure_of(error)
        if _engines is not None and _engines.hooks.on_failure is not None:
            _engines.hooks.on_failure(failure or error)
        if failure is None:
            # Keep the stack but drop the original error, whose text a log would print.
            driver = getattr(error, "orig", None)
            raise refused(driver).with_traceback(error.__traceback__) from None
        raise failure from error


def private_engine(url: str) -> Engine:
    """Return an engine without a pool, for migrations."""
    address = normalise(url)
    arguments = connect_args(address, connect_timeout=CONNECT_SECONDS, settings={"timezone": "UTC"})
    return create_engine(
        address, connect_args=arguments, poolclass=NullPool, use_native_hstore=False
    )


def to_json(value: Any) -> str:
    """Serialise to text, as SQLAlchemy requires."""
    return orjson.dumps(value).decode()
