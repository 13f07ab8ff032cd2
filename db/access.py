"""The access rule of each resource, and the reason why a statement with that rule found no row.

Currently the owner has access. Statements include the rule as a condition on `acting_user`.
"""

from typing import NoReturn

from sqlalchemy import String, bindparam, select

from db import engine
from db.engine import Connection, roles
from db.engine.statement import Statement
from db.errors import Denied, Missing
from db.models import (
    Id,
    conversations,
    messages,
    run_events,
    run_leases,
    run_queue,
    runs,
    shares,
)

_user = bindparam("acting_user", type_=String)
_row = bindparam("row_id", type_=Id)

CONVERSATION = conversations.c.user_id == _user
MESSAGE = messages.c.user_id == _user
RUN = runs.c.created_by == _user
RUN_EVENT = run_events.c.user_id == _user
LEASE = run_leases.c.user_id == _user
SHARE = shares.c.user_id == _user
QUEUED = run_queue.c.user_id == _user

# These statements see the rows of all users. Their role cannot read content.
_HAS_ACCESS = {
    "conversation": Statement(
        select(CONVERSATION).where(conversations.c.id == _row), role=roles.EXISTENCE
    ),
    "message": Statement(select(MESSAGE).where(messages.c.id == _row), role=roles.EXISTENCE),
    "run": Statement(select(RUN).where(runs.c.id == _row), role=roles.EXISTENCE),
}


def refuse(connection: Connection, resource: str, *, row_id: str, user_id: str) -> NoReturn:
    """Raise Missing or Denied for a row that a statement with the access rule did not find.

    This rolls back the transaction. Successful requests do not pay for it.
    """
    parameters = {"row_id": row_id, "acting_user": user_id}

    def decide(connection: Connection) -> NoReturn:
        if _HAS_ACCESS[resource].scalar(connection, parameters) is False:
            raise Denied(resource)
        # If the user has access, the row was created after the first statement.
        raise Missing(resource)

    engine.roll_back(connection, decide)
