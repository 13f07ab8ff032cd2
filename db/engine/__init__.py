"""Connects to PostgreSQL: the connection pool, transactions, statements and their errors."""

from db.engine.connection import Connection
from db.engine.pool import PoolHooks
from db.engine.private import private_engine
from db.engine.unit_of_work import (
    Hooks,
    autocommit,
    configure,
    dispose,
    on_commit,
    reading,
    roll_back,
    transaction,
    translated,
    url,
)

__all__ = [
    "Connection",
    "Hooks",
    "PoolHooks",
    "autocommit",
    "configure",
    "dispose",
    "on_commit",
    "private_engine",
    "reading",
    "roll_back",
    "transaction",
    "translated",
    "url",
]
