"""Connects to PostgreSQL: the connection pool, transactions, statements and their errors."""

from db.engine.acting import (
    Lease,
    MemberGrant,
    act_under,
    acting_under,
    current_grant,
    current_membership,
)
from db.engine.connections.connection import Connection
from db.engine.connections.pool import PoolHooks
from db.engine.private import private_engine
from db.engine.unit_of_work import (
    Hooks,
    autocommit,
    configure,
    dispose,
    joined,
    on_commit,
    prepares,
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
    "MemberGrant",
    "PoolHooks",
    "act_under",
    "acting_under",
    "autocommit",
    "configure",
    "current_grant",
    "current_membership",
    "dispose",
    "joined",
    "on_commit",
    "prepares",
    "private_engine",
    "reading",
    "roll_back",
    "transaction",
    "translated",
    "url",
]
