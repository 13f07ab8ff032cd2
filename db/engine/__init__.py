"""Connects to PostgreSQL: the connection pool, transactions, statements and their errors."""

from db.engine.acting import Lease, act_under, acting_under, current_lease
from db.engine.connections.connection import Connection
from db.engine.connections.pool import PoolHooks
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
    "Lease",
    "PoolHooks",
    "act_under",
    "acting_under",
    "autocommit",
    "configure",
    "current_lease",
    "dispose",
    "on_commit",
    "private_engine",
    "reading",
    "roll_back",
    "transaction",
    "translated",
    "url",
]
