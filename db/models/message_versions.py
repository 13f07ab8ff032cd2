"""The versions of messages that were edited."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Integer, String, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Json, Moment, bytes_of


class MessageVersion(Base):
    """What a message said from `created_at` on. `user_id` is the conversation's owner.

    A message has rows here from its first edit on, one for each version, also for the current one.
    """

    __tablename__ = "message_versions"

    message_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    conversation_id: Mapped[str] = mapped_column(Id)
    # The member who wrote this version; null if the owner or a worker did.
    author_id: Mapped[str | None] = mapped_column(String(255))
    content: Mapped[str] = mapped_column(Text)
    parts: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    # SQLAlchemy reserves the name `metadata` on mapped classes.
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata", Json)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    size: Mapped[int] = mapped_column(Integer, bytes_of("content", "parts", "metadata"))

    __table_args__ = (
        ForeignKeyConstraint(
            ["message_id", "user_id"], ["messages.id", "messages.user_id"], ondelete="CASCADE"
        ),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint("json_typeof(parts) = 'array'", name="parts"),
        CheckConstraint("json_typeof(metadata) = 'object'", name="metadata"),
    )
