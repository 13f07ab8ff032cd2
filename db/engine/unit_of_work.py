"""Configures the database, and lends connections for single statements or for a transaction."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import psycopg2
from sqlalchemy import URL, exc

from db.engine import session, shards
from db.engine.connections.address import CONNECT_SECONDS, driver_args, normalise
from db.engine.connections.connection import AroundStatement, Connection
from db.engine.connections.pool import Pool, PoolHooks
from db.engine.connections.replica import Replica
from db.engine.failures import failure_of, refused

ANSWER_SECONDS = 1
"""Time for a response to arrive, in addition to the server's statement_timeout."""


Topic = tuple[str, ...]
"""What streams and claims wait for. It ends with its rows' owner, which is the agent for a queue:
`run`, its id, its owner; `changes`, a user; `queue`, an agent."""


@dataclass(frozen=True)
class Hooks:
    """Extension points for metrics and tracing; the defaults cost nothing."""

    pool: PoolHooks | None = None
    around_statement: AroundStatement | None = None
    on_failure: Callable[[Exception], None] | None = None
    """Called with each database error: a Failure, or psycopg2's error if it has no Failure."""
    on_commit: Callable[[Topic], None] | None = None
    """Called with each topic that a transaction has changed, after its commit."""


@dataclass
class _Configured:
    url: str
    pool: Pool
    replica: Replica | None
    hooks: Hooks
    is_distributed: bool | None = None
    """None until the first statement."""


_configured: _Configured | None = None

# Each request has its own context, so this is never another request's transaction.
_enclosing: ContextVar[Connection | None] = ContextVar("enclosing transaction", default=None)


def configure(
    url: str,
    *,
    pool_size: int,
    statement_timeout_ms: int,
    prepare: bool = True,
    hooks: Hooks | None = None,
    read_url: str | None = None,
) -> None:
    """Create the pool that `autocommit` and `transaction` use, without connecting.

    With `prepare`, statements are prepared on connections that no pooler shares. `read_url` is a
    replica's, for `reading`. Raises ValueError if a URL is not a PostgreSQL URL.
    """
    global _configured  # noqa: PLW0603 (the program's only global)
    hooks = hooks or Hooks()

    def pool(url: str, **overrides: str) -> Pool:
        address = normalise(url)
        settings = session.settings(address, statement_timeout_ms=statement_timeout_ms) | overrides
        connect = _connector(address, settings, statement_timeout_ms, prepare, hooks)
        return Pool(connect, pool_size, hooks.pool)

    primary = pool(url)
    replica = None
    if read_url is not None:
        replica = Replica(primary, pool(read_url, default_transaction_read_only="on"))
    dispose()
    _configured = _Configured(url, primary, replica, hooks)


def _connector(
    address: URL,
    settings: dict[str, str],
    statement_timeout_ms: int,
    prepare: bool,
    hooks: Hooks,
) -> Callable[[], Connection]:
    return partial(
        Connection,
        driver_args(
            address,
            connect_timeout=CONNECT_SECONDS,
            settings=settings
            | {"timezone": "UTC", "jit": "off"}
            # Plan for any values: with the mode auto, statistics of one very large conversation
            # made PostgreSQL plan each execution of a prepared statement again.
            | {"plan_cache_mode": "force_generic_plan"},
        ),
        settings=session.set_local(settings),
        seconds=statement_timeout_ms / 1000 + ANSWER_SECONDS,
        prepares=prepare,
        around_statement=hooks.around_statement,
    )


def dispose() -> None:
    """Close the pool; call `configure` before using it again."""
    global _configured  # noqa: PLW0603 (the program's only global)
    if _configured is not None:
        _configured.pool.close()
        if _configured.replica is not None:
            _configured.replica.pool.close()
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
        pool = _current().pool
        connection = pool.take()
        try:
            yield connection
            _announce(connection.topics)
        finally:
            connection.topics.clear()
            pool.give_back(connection)


def on_commit(connection: Connection, topic: Topic) -> None:
    """Call the hook `on_commit` with the topic once the change is committed."""
    connection.topics.add(topic)


def _announce(topics: Iterable[Topic]) -> None:
    hook = _current().hooks.on_commit
    if hook is not None:
        for topic in topics:
            hook(topic)


@contextmanager
def reading() -> Iterator[Connection]:
    """Yield a connection for reads only, like `autocommit`.

    It leads to the replica, if there is one and it has all that was committed before.
    """
    replica = _current().replica
    if replica is None or _enclosing.get() is not None:
        with autocommit() as connection:
            yield connection
        return
    with translated():
        lent = replica.take()
        if lent is not None:
            try:
                yield lent
            finally:
                replica.pool.give_back(lent)
            return
    with autocommit() as connection:
        yield connection


@contextmanager
def transaction() -> Iterator[Connection]:
    """Yield a connection in a transaction, which commits unless the block raises an exception.

    Inside another `transaction()` it joins that one, so an exception must reach the outer block:
    do not catch it in between. Raises Unavailable and Timeout.
    """
    if _enclosing.get() is not None:
        with autocommit() as enclosing:
            yield enclosing
        return
    with autocommit() as connection, joined(connection):
        yield connection


@contextmanager
def joined(connection: Connection) -> Iterator[None]:
    """Put the block's statements on a connection into one transaction, or into the enclosing one.

    As in `transaction`, an exception must reach the outer block.
    """
    if _enclosing.get() is not None:
        yield
        return
    token = _enclosing.set(connection)
    try:
        connection.execute("BEGIN; " + connection.settings).close()
        yield
    except BaseException as error:
        _enclosing.reset(token)
        _roll_back(connection)
        if isinstance(error, _RollBack):
            error.then(connection)
        raise
    _enclosing.reset(token)
    connection.execute("COMMIT").close()


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
    if connection.is_closed():
        return
    try:
        connection.execute("ROLLBACK").close()
    except psycopg2.Error:
        connection.close()


def is_distributed(connection: Connection) -> bool:
    """Return whether `agent-api distribute` has distributed the tables; ask once per process."""
    configured = _current()
    if configured.is_distributed is None:
        cursor = connection.execute(connection.settings + shards.IS_DISTRIBUTED)
        ((configured.is_distributed,),) = cursor.fetchall()
        cursor.close()
    return configured.is_distributed


def prepares(connection: Connection) -> bool:
    """Return whether statements are prepared on the connection, as far as it is known."""
    return connection.prepared is not None and not is_distributed(connection)


def _current() -> _Configured:
    if _configured is None:
        raise RuntimeError("db.engine.configure() has not been called")
    return _configured


@contextmanager
def translated() -> Iterator[None]:
    """Raise a Failure if the database is unreachable, busy or slow.

    All other database errors are defects, such as a violated constraint: they become Refused.
    """
    try:
        yield
    except (psycopg2.Error, exc.DBAPIError) as error:
        failure = failure_of(error)
        if _configured is not None and _configured.hooks.on_failure is not None:
            _configured.hooks.on_failure(failure or error)
        if failure is None:
            # Keep the stack but drop the original error, whose text a log would print.
            raise refused(error).with_traceback(error.__traceback__) from None
        raise failure from error
