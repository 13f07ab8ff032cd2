"""Connects to PostgreSQL: the connection pool, transactions, statements and their errors."""

from db.engine.pool import (
    Hooks,
    autocommit,
    configure,
    dispose,
    private_engine,
    roll_back,
    transaction,
    translated,
    url,
)

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
