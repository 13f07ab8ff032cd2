"""The access rule of each resource, and the reason why a statement with that rule found no row.

Currently the owner has access. Statements include the rule as a condition on `acting_user`.
"""

from typing import NoReturn

from sqlalchemy import Connection, String, bindparam, select

from db.engine import roles
from db.engine.statement import Statement
from db.errors import Denied, Missing
from db.models import Id, conversations, messages, runs

_user = bindparam("acting_user", type_=String)
_row = bindparam("row_id", type_=Id)

CONVERSATION = conversations.c.user_id == _user
MESSAGE = messages.c.user_id == _user
RUN = runs.c.created_by == _user

# The only statements that see other users' rows. Their role may read only ids and owners.
_HAS_ACCESS = {
    "conversation": Statement(
        select(CONVERSATION).where(conversations.c.id == _row), role=roles.EXISTENCE
    ),
    "message": Statement(select(MESSAGE).where(messages.c.id == _row), role=roles.EXISTENCE),
    "run": Statement(select(RUN).where(runs.c.id == _row), role=roles.EXISTENCE),
}


def require(connection: Connection, resource: str, *, row_id: str, user_id: str) -> None:
    """Raise Missing or Denied unless the row exists and belongs to the user.

    Call this only after a statement found no row, so that successful requests do not pay for it.
    """
    parameters = {"row_id": row_id, "acting_user": user_id}
    has_access = _HAS_ACCESS[resource].scalar(connection, parameters)
    if has_access is None:
        raise Missing(resource)
    if not has_access:
        raise Denied(resource)


def refuse(connection: Connection, resource: str, *, row_id: str, user_id: str) -> NoReturn:
    """Raise Missing or Denied for a row that a statement with the access rule did not find."""
    require(connection, resource, row_id=row_id, user_id=user_id)
    # The row was created after the first statement, for which it was missing.
    raise Missing(resource)
