"""Public links: the rows of their owners, and the snapshots that everyone can read."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Moment, new_id


class Link(Base):
    """A public link to a conversation. The secret itself is stored nowhere."""

    __tablename__ = "links"

    id: Mapped[str] = mapped_column(
        Id, primary_key=True, default=new_id, server_default=func.gen_random_uuid()
    )
    conversation_id: Mapped[str] = mapped_column(Id)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(255))
    with_attachments: Mapped[bool]
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())

    __table_args__ = (
        ForeignKeyConstraint(
            ["conversation_id", "user_id"],
            ["conversations.id", "conversations.user_id"],
            ondelete="CASCADE",
        ),
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        Index("idx_links_conversation_id", "conversation_id", "created_at", "id"),
        Index(
            "idx_links_expires_at", "expires_at", postgresql_where=text("expires_at IS NOT NULL")
        ),
    )


class PublishedConversation(Base):
    """The snapshot that a link shows. Its owner, for distribution, is the hash of the secret.

    It has no foreign key and no user: whoever reads it knows the secret only.
    """

    __tablename__ = "published_conversations"

    # As long as the owners of other tables, so that all are distributed in the same way.
    secret_hash: Mapped[str] = mapped_column(String(255), primary_key=True)
    snapshot: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (CheckConstraint("char_length(secret_hash) = 64", name="secret_hash"),)
