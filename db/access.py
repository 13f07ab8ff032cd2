"""Who may see and change what: one rule a resource, and why a statement that holds it found no row.

Today the rule is "the owner". Statements take it as a condition, with `acting_user` as parameter.
"""

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

# The only statements that see others' rows, of which their role may read the id and the owner.
_MAY = {
    "conversation": Statement(
        select(CONVERSATION).where(conversations.c.id == _row), role=roles.EXISTENCE
    ),
    "message": Statement(select(MESSAGE).where(messages.c.id == _row), role=roles.EXISTENCE),
    "run": Statement(select(RUN).where(runs.c.id == _row), role=roles.EXISTENCE),
}


def require(connection: Connection, resource: str, *, row_id: str, user_id: str) -> None:
    """Raise Missing or Denied unless the row exists and is the user's.

    For the path on which a statement found nothing: a request that goes well never needs it.
    """
    may = _MAY[resource].scalar(connection, {"row_id": row_id, "acting_user": user_id})
    if may is None:
        raise Missing(resource)
    if not may:
        raise Denied(resource)


def refuse(connection: Connection, resource: str, *, row_id: str, user_id: str) -> Exception:
    """The error for a row that a statement with nothing but the rule did not find."""
    require(connection, resource, row_id=row_id, user_id=user_id)
    # It came into being between the two statements, so for the first there was none.
    return Missing(resource)
