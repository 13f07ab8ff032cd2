"""Names the tables that a user's list of conversations consists of: own ones and memberships."""

from typing import Any, NamedTuple

import sqlalchemy as sa

from db.models import (
    conversation_agents,
    conversation_tags,
    conversations,
    membership_agents,
    membership_tags,
    memberships,
)

USER = sa.bindparam("acting_user", type_=sa.String)


class Listed(NamedTuple):
    """A table of conversations as one user sees them, and the tables of their tags and agents."""

    rows: sa.Table
    row_id: sa.Column[Any]
    tags: sa.Table
    agents: sa.Table
    latest: sa.ColumnElement[Any]
    """The latest time that is stored in the row. A new change is recorded with a later time."""

    @property
    def of_user(self) -> sa.ColumnElement[bool]:
        """The rule that a row is one of the acting user's."""
        return self.rows.c.user_id == USER


OWN = Listed(
    conversations,
    conversations.c.id,
    conversation_tags,
    conversation_agents,
    conversations.c.updated_at,
)
SHARED = Listed(
    memberships,
    memberships.c.conversation_id,
    membership_tags,
    membership_agents,
    sa.func.greatest(memberships.c.updated_at, memberships.c.shared_at),
)

ORGANISED = frozenset({"archived", "pinned", "tags"})
"""The properties that each user has for themselves, also in shared conversations."""
