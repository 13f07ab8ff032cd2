"""Connects to PostgreSQL: the connection pool, transactions, statements and their errors."""

from db.engine.pool import (
    Hooks,
    autocommit,
    configure,
    dispose,
    roll_back,
    transaction,
    translated,
    url,
)
from db.engine.private import private_engine

__all__ = [
    "Hooks",
    "autocommit",
    "configure",
    "dispose",
    "private_engine",
    "roll_back",
    "transaction",
    "translated",
    "url",
]
