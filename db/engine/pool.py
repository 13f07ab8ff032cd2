"""Owns the connection pool; lends connections for single statements or for a transaction."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson
import psycopg2
from psycopg2.extensions import UNICODE, cursor, new_array_type
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, exc
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPICursor

from db.engine import session, shards
from db.engine.address import CONNECT_SECONDS, connect_args, normalise
from db.engine.backoff import ConnectBackoff
from db.engine.failures import failure_of, is_read_only, is_stale_plan, refused
from db.engine.watchdog import InterruptibleConnection, Watchdog

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


_SETTINGS = "agent_api_settings"
# OIDs of json, timestamp, uuid and uuid[], which stay texts because documents contain them as such.
_TYPES = dict.fromkeys((114, 1114, 2950), UNICODE) | {
    2951: new_array_type((2951,), "UUIDARRAY", UNICODE)
}
_USED = "agent_api_used"


@dataclass
class _Configured:
    url: str
    engine: Engine
    hooks: Hooks
    watchdog: Watchdog
    is_distributed: bool | None = None
    """None until the first statement."""


_configured: _Configured | None = None

# Each thread starts with its own context, so this is never another thread's transaction.
_enclosing: ContextVar[Connection | None] = ContextVar("enclosing transaction", default=None)


def configure(
    url: str,
    *,
    pool_size: int,
    statement_timeout_ms: int,
    prepare: bool = True,
    hooks: Hooks | None = None,
) -> None:
    """Create the pool that `autocommit` and `transaction` use, without connecting.

    With `prepare`, statements are prepared on connections that no pooler shares.
    Raises ValueError if the URL is not a PostgreSQL URL.
    """
    global _configured  # noqa: PLW0603 (the program's only global)
    address = normalise(url)
    hooks = hooks or Hooks()
    settings = session.settings(address, statement_timeout_ms=statement_timeout_ms)
    engine = create_engine(
        address,
        execution_options={_SETTINGS: session.set_local(settings)},
        # `transaction` sends BEGIN and COMMIT itself.
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        connect_args=connect_args(
            address,
            connect_timeout=CONNECT_SECONDS,
            settings=settings
            | {"timezone": "UTC", "jit": "off"}
            # Plan for any values: with the mode auto, statistics of one very large conversation
            # made PostgreSQL plan each execution of a prepared statement again.
            | {"plan_cache_mode": "force_generic_plan"},
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
        # Looking up the hstore type would cost each new connection a round trip.
        use_native_hstore=False,
        # An exception's text must not carry message content into a log.
        hide_parameters=True,
    )
    event.listen(engine, "handle_error", _reconnect)
    event.listen(engine, "connect", _read_as_text)
    if not prepare:
        event.listen(engine, "connect", _prepare_nothing)
    event.listen(engine, "checkout", _replace_closed)
    ConnectBackoff(engine)
    watchdog = Watchdog(engine, statement_timeout_ms / 1000 + ANSWER_SECONDS)
    dispose()
    _configured = _Configured(url, engine, hooks, watchdog)


def dispose() -> None:
    """Close the pool; call `configure` before using it again."""
    global _configured  # noqa: PLW0603 (the program's only global)
    if _configured is not None:
        _configured.engine.dispose()
        _configured.watchdog.stop()
        _configured = None


def url() -> str:
    """Return the database's URL, for connecting outside the pool."""
    return _current().url


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
        with _current().engine.connect() as connection:
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
        # SQLAlchemy's transaction sends nothing. It keeps a lost connection from being replaced
        # before the block ends.
        with _current().engine.begin() as connection:
            execute(connection, "BEGIN; " + settings_sql(connection)).close()
            token = _enclosing.set(connection)
            try:
                yield connection
            except BaseException as error:
                _enclosing.reset(token)
                _roll_back(connection)
                if isinstance(error, _RollBack):
                    error.then(connection)
                raise
            _enclosing.reset(token)
            execute(connection, "COMMIT").close()


@dataclass
class _RollBack(Exception):  # it is not an error
    """Ends the transaction before `then`, which raises the error that the caller receives."""

    then: Callable[[Connection], NoReturn]


def roll_back(connection: Connection, then: Callable[[Connection], NoReturn]) -> NoReturn:
    """Call `then`, which must raise an error, after rolling back the transaction if there is one.

    Its statements may have another role: on distributed tables a transaction can have only one.
    """
    if _enclosing.get() is not None:
        raise _RollBack(then)
    then(connection)


def _roll_back(connection: Connection) -> None:
    if connection.invalidated:
        return
    try:
        execute(connection, "ROLLBACK").close()
    except exc.DBAPIError:
        connection.invalidate()


def settings_sql(connection: Connection) -> str:
    """Return the SQL that sets what a statement depends on, to be sent in front of it."""
    sql: str = connection.get_execution_options().get(_SETTINGS, "")
    raw: Any = connection.connection
    return sql + session.set_local_for(raw.server_version)


def is_distributed(connection: Connection) -> bool:
    """Return whether `agent-api distribute` has distributed the tables; ask once per process."""
    configured = _current()
    if configured.is_distributed is None:
        sql = settings_sql(connection) + shards.IS_DISTRIBUTED
        # An ordinary cursor, because traces must not show this as a statement of the request.
        with closing(execute(connection, sql, cursor_factory=cursor)) as answer:
            ((configured.is_distributed,),) = answer.fetchall()
    return configured.is_distributed


def execute(
    connection: Connection,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    cursor_factory: type[cursor] | None = None,
) -> DBAPICursor:
    """Execute `sql` with psycopg2 and return the cursor. Raises SQLAlchemy's errors."""
    opened: DBAPICursor | None = None
    try:
        opened = connection.connection.cursor(cursor_factory=cursor_factory)
        opened.execute(sql, parameters)
        return opened
    except psycopg2.Error as error:
        # Private, because SQLAlchemy has no public function for it. This raises SQLAlchemy's
        # error, and after a lost connection discards all older connections of the pool.
        # Parameters are withheld.
        connection._handle_dbapi_exception(error, sql, None, opened, None)


def _current() -> _Configured:
    if _configured is None:
        raise RuntimeError("db.engine.configure() has not been called")
    return _configured


def _read_as_text(connection: Any, _record: object) -> None:
    """Undo SQLAlchemy's registration of types, which it needs only for its own execution."""
    connection.string_types.update(_TYPES)


def _prepare_nothing(connection: Any, _record: object) -> None:
    connection.prepared = None


def _replace_closed(connection: Any, record: Any, _fairy: object) -> None:
    """Make the pool replace a connection that the server has closed while it was idle.

    The next statement on a new connection fails if the server has closed that one too.
    """
    was_idle = _USED in record.info  # the pool clears it when it connects
    record.info[_USED] = True
    if was_idle and connection.is_closed():
        raise exc.DisconnectionError


def _reconnect(context: ExceptionContext) -> None:
    """Replace the pool's connections after an error that new ones will not have.

    If a server refused a write, another host may be the primary by now.
    """
    error = context.original_exception
    if is_read_only(error) or is_stale_plan(error):
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
        if _configured is not None and _configured.hooks.on_failure is not None:
            _configured.hooks.on_failure(failure or error)
        if failure is None:
            # Keep the stack but drop the original error, whose text a log would print.
            driver = getattr(error, "orig", None)
            raise refused(driver).with_traceback(error.__traceback__) from None
        raise failure from error


def to_json(value: Any) -> str:
    """Serialise to text, as SQLAlchemy requires."""
    return orjson.dumps(value).decode()
