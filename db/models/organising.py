"""What lists of conversations find by name: tags, and the agents that routing decisions selected.

Row-level security keeps PostgreSQL from using an index of array elements, because the comparison is
not leakproof. These tables have one row for each name, which an index finds.
"""

from sqlalchemy import ForeignKeyConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import TAG_CHARACTERS, Base, Id


def _of(table: str, key: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["conversation_id", "user_id"], [f"{table}.{key}", f"{table}.user_id"], ondelete="CASCADE"
    )


class ConversationTag(Base):
    """A tag of a conversation. `conversations.tags` has the same tags, in their order."""

    __tablename__ = "conversation_tags"

    conversation_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    tag: Mapped[str] = mapped_column(String(TAG_CHARACTERS), primary_key=True)

    __table_args__ = (
        _of("conversations", "id"),
        Index("idx_conversation_tags_tag", "user_id", "tag", "conversation_id"),
    )


class ConversationAgent(Base):
    """An agent that the routing decision of one of the conversation's messages selected."""

    __tablename__ = "conversation_agents"

    conversation_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(255), primary_key=True)

    __table_args__ = (
        _of("conversations", "id"),
        Index("idx_conversation_agents_agent_id", "user_id", "agent_id", "conversation_id"),
    )


class MembershipTag(Base):
    """A tag that a member has given a shared conversation; `user_id` is the member."""

    __tablename__ = "membership_tags"

    conversation_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    tag: Mapped[str] = mapped_column(String(TAG_CHARACTERS), primary_key=True)

    __table_args__ = (
        _of("memberships", "conversation_id"),
        Index("idx_membership_tags_tag", "user_id", "tag", "conversation_id"),
    )


class MembershipAgent(Base):
    """A copy of a ConversationAgent for a member, whose rows may be on another node."""

    __tablename__ = "membership_agents"

    conversation_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(255), primary_key=True)

    __table_args__ = (
        _of("memberships", "conversation_id"),
        Index("idx_membership_agents_agent_id", "user_id", "agent_id", "conversation_id"),
    )
