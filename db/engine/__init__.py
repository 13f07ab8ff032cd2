"""The engine: one pool of connections, lent out in autocommit mode or for a transaction."""

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
from db.engine.watchdog import Line, Watchdog

CONNECT_SECONDS = 5
POOL_WAIT_SECONDS = 5
ANSWER_SECONDS = 1
"""What a server may take, beside its statement_timeout, until its answer is here."""


@dataclass(frozen=True)
class Hooks:
    """Where somebody can watch the engine at work: who does not, pays nothing."""

    pool_class: type[QueuePool] = QueuePool
    cursor_factory: type[cursor] = cursor
    on_failure: Callable[[Exception], None] | None = None
    """Told of each error of the database: ours, or where we have none for it, SQLAlchemy's."""


_LIMIT = "agent_api_limit"


@dataclass(frozen=True)
class _Pair:
    url: str
    reading: Engine
    writing: Engine
    hooks: Hooks
    watchdog: Watchdog


_pair: _Pair | None = None

# Of this thread alone: each one starts with a context of its own.
_enclosing: ContextVar[Connection | None] = ContextVar("enclosing transaction", default=None)


def configure(
    url: str, *, pool_size: int, statement_timeout_ms: int, hooks: Hooks | None = None
) -> None:
    """Make the engine that `autocommit` and `transaction` use; nothing connects before they do.

    Raises ValueError for a URL that is not PostgreSQL's.
    """
    global _pair  # noqa: PLW0603 (the program's one global)
    address = normalise(url)
    hooks = hooks or Hooks()
    limit = f"SET LOCAL statement_timeout = {statement_timeout_ms}; "
    if "statement_timeout" in str(address.query.get("options", "")):
        limit = ""  # what the URL says wins
    reading = create_engine(
        address,
        # A pooler drops the settings of the session below, so statements bring this one along.
        execution_options={_LIMIT: limit},
        # On the engine, not on each checkout: setting it per checkout costs more than it saves.
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        connect_args=connect_args(
            address,
            connect_timeout=CONNECT_SECONDS,
            settings={"statement_timeout": statement_timeout_ms, "timezone": "UTC", "jit": "off"},
        )
        | {"connection_factory": Line, "cursor_factory": hooks.cursor_factory},
        poolclass=hooks.pool_class,
        # No overflow: a connection over the pool's size would be opened and closed each time.
        # LIFO: after a busy hour the idle ones stay at the bottom, where the server may end them.
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_use_lifo=True,
        json_serializer=to_json,
        json_deserializer=orjson.loads,
        # Its lookup of the hstore type would cost each new connection a round trip.
        use_native_hstore=False,
        # A message's content must not reach a log through an exception's text.
        hide_parameters=True,
    )
    event.listen(reading, "handle_error", _leave_read_only)
    watchdog = Watchdog(reading, statement_timeout_ms / 1000 + ANSWER_SECONDS)
    # An engine made from an engine shares its pool. Only transactions pay for changing the level
    # of a connection and changing it back, and psycopg2 does both without a round trip.
    writing = reading.execution_options(isolation_level="READ COMMITTED")
    dispose()
    _pair = _Pair(url, reading, writing, hooks, watchdog)


def dispose() -> None:
    """Close the pool; `configure` is needed before the next use."""
    global _pair  # noqa: PLW0603 (the program's one global)
    if _pair is not None:
        _pair.reading.dispose()
        _pair.watchdog.stop()
        _pair = None


def url() -> str:
    """Return the URL that the engine was made for, to reach the database beside the pool."""
    return _engines().url


@contextmanager
def autocommit() -> Iterator[Connection]:
    """A connection on which each statement stands alone: for reads and one-statement writes.

    Within a `transaction()` it is that one's, and its statements stand or fall with the others.
    Raises Unavailable and Timeout.
    """
    with translated():
        joined = _enclosing.get()
        if joined is not None:
            yield joined
            return
        with _engines().reading.connect() as connection:
            yield connection


@contextmanager
def transaction() -> Iterator[Connection]:
    """A connection in a transaction, which commits when the block ends and rolls back if it raises.

    Within another one it is part of that, which has to end in an error if this one does: do not
    catch it in between. Raises Unavailable and Timeout.
    """
    with translated():
        joined = _enclosing.get()
        if joined is not None:
            yield joined
            return
        with _engines().writing.begin() as connection:
            token = _enclosing.set(connection)
            try:
                yield connection
            finally:
                _enclosing.reset(token)


def limit_of(connection: Connection) -> str:
    """The SQL that bounds the time of what follows it, in a statement of this connection."""
    limit: str = connection.get_execution_options().get(_LIMIT, "")
    return limit


def _engines() -> _Pair:
    if _pair is None:
        raise RuntimeError("db.engine.configure() has not been called")
    return _pair


def _leave_read_only(context: ExceptionContext) -> None:
    """Connect anew after a refused write: another host may be the one to write to by now."""
    if getattr(context.original_exception, "pgcode", None) == READ_ONLY:
        context.is_disconnect = True


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's word for a database that is away, busy or slow into ours.

    Any other is a bug, a broken statement or a row that a constraint refused: it becomes Refused.
    """
    try:
        yield
    except (exc.TimeoutError, exc.DBAPIError) as error:
        failure = failure_of(error)
        if _pair is not None and _pair.hooks.on_failure is not None:
            _pair.hooks.on_failure(failure or error)
        if failure is None:
            # With the stack, and without the error that it replaces: a log would print that too.
            driver = getattr(error, "orig", None)
            raise refused(driver).with_traceback(error.__traceback__) from None
        raise failure from error


def private_engine(url: str) -> Engine:
    """An engine without a pool, for work that is not a request's: migrations."""
    address = normalise(url)
    arguments = connect_args(address, connect_timeout=CONNECT_SECONDS, settings={"timezone": "UTC"})
    return create_engine(
        address, connect_args=arguments, poolclass=NullPool, use_native_hstore=False
    )


def to_json(value: Any) -> str:
    """JSON as SQLAlchemy wants it: text."""
    return orjson.dumps(value).decode()
