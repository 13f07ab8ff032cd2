"""Shares of conversations. Each is stored twice: with the conversation, and with its member."""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    String,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import LISTED, MEMBER_ROLES, TAG_CHARACTERS, Base, Id, Moment, new_id

_ROLE = f"role IN {MEMBER_ROLES}"


class Share(Base):
    """What a member may do with a conversation. `user_id` is the conversation's owner.

    If the two rows of a share differ, this one is right.
    """

    __tablename__ = "shares"

    id: Mapped[str] = mapped_column(Id, default=new_id, server_default=func.gen_random_uuid())
    conversation_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    member_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())

    __table_args__ = (
        ForeignKeyConstraint(
            ["conversation_id", "user_id"],
            ["conversations.id", "conversations.user_id"],
            ondelete="CASCADE",
        ),
        CheckConstraint(
            "char_length(member_id) BETWEEN 1 AND 255 AND member_id <> user_id", name="member_id"
        ),
        CheckConstraint(_ROLE, name="role"),
    )


class Membership(Base):
    """A conversation that is shared with `user_id`, with what lists order and filter by.

    It has no foreign key, because the conversation belongs to another user: its rows may be on
    another node.
    """

    __tablename__ = "memberships"

    conversation_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    owner_id: Mapped[str] = mapped_column(String(255))
    share_id: Mapped[str] = mapped_column(Id)
    role: Mapped[str] = mapped_column(String(20))
    shared_at: Mapped[datetime] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    source: Mapped[str | None] = mapped_column(String(50))
    agent_id: Mapped[str | None] = mapped_column(String(255))
    # How the member organises it, as in `conversations`.
    archived: Mapped[bool] = mapped_column(server_default=text("false"))
    pinned: Mapped[bool] = mapped_column(server_default=text("false"))
    tags: Mapped[list[str]] = mapped_column(
        ARRAY(String(TAG_CHARACTERS)), server_default=text("'{}'")
    )
    read_position: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    unread_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))

    __table_args__ = (
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint(_ROLE, name="role"),
        # The two orders of the list of conversations, as in `conversations`.
        Index("idx_memberships_created_at", *LISTED, "created_at", "conversation_id"),
        Index("idx_memberships_updated_at", *LISTED, "updated_at", "conversation_id"),
    )
