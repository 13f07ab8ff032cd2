"""Chat attachments: records of files that clients store elsewhere."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Moment, bytes_of, new_id


class ChatAttachment(Base):
    """The record of a file. It changes once, when a message gets it.

    The message has a copy of what it shows (`Message.chat_attachments`), so lists of messages read
    no attachments.
    """

    __tablename__ = "chat_attachments"

    id: Mapped[str] = mapped_column(
        Id, primary_key=True, default=new_id, server_default=func.gen_random_uuid()
    )
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    filename: Mapped[str] = mapped_column(String(255))
    file_url: Mapped[str] = mapped_column(Text)
    mime_type: Mapped[str | None] = mapped_column(String(255))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    added_to_library: Mapped[bool] = mapped_column(server_default=text("false"))
    library_document_id: Mapped[str | None] = mapped_column(String(255))
    parsed_content: Mapped[str | None] = mapped_column(Text)
    conversation_id: Mapped[str | None] = mapped_column(Id)
    message_id: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    size: Mapped[int] = mapped_column(Integer, bytes_of("file_url", "parsed_content"))

    __table_args__ = (
        # A key to the message would cost each deleted message a search for its attachments.
        ForeignKeyConstraint(
            ["conversation_id", "user_id"],
            ["conversations.id", "conversations.user_id"],
            ondelete="CASCADE",
        ),
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint("char_length(filename) BETWEEN 1 AND 255", name="filename"),
        CheckConstraint("char_length(file_url) BETWEEN 1 AND 8192", name="file_url"),
        CheckConstraint("size_bytes >= 0", name="size_bytes"),
        CheckConstraint("num_nulls(conversation_id, message_id) IN (0, 2)", name="message_id"),
        Index("idx_chat_attachments_created_at", "user_id", "created_at", "id"),
        Index(
            "idx_chat_attachments_added_to_library",
            "user_id",
            "added_to_library",
            "created_at",
            "id",
        ),
        # Starts with the conversation, not the user, so that it also serves the foreign key.
        Index(
            "idx_chat_attachments_conversation_id",
            "conversation_id",
            "created_at",
            "id",
            postgresql_where=text("conversation_id IS NOT NULL"),
        ),
    )
