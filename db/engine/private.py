"""Makes engines for migrations, each connection of which is used once."""

from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event

from db.engine import session
from db.engine.connections.address import CONNECT_SECONDS, connect_args, normalise


def private_engine(url: str) -> Engine:
    """Return an engine without a pool, for migrations."""
    address = normalise(url)
    settings = session.settings(address, statement_timeout_ms=0)
    engine = create_engine(
        address,
        connect_args=connect_args(
            address, connect_timeout=CONNECT_SECONDS, settings=settings | {"timezone": "UTC"}
        ),
        poolclass=NullPool,
        use_native_hstore=False,
    )
    # A pooler drops the options of a connection.
    event.listen(engine, "begin", partial(_set_local, session.set_local(settings)))
    return engine


def _set_local(sql: str, connection: Connection) -> None:
    raw: Any = connection.connection
    connection.exec_driver_sql(sql + session.set_local_for(raw.server_version))
