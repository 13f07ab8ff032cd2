"""Conversations and their messages."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
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
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.models.base import (
    LISTED,
    PREVIEW_CHARACTERS,
    TAG_CHARACTERS,
    Base,
    Id,
    Json,
    MessageRole,
    Moment,
    bytes_of,
    new_id,
)

if TYPE_CHECKING:
    from db.models.runs import Run


class Conversation(Base):
    """A conversation, with the count and a preview of its messages.

    The statement that inserts a message updates both, so listing conversations reads no messages.
    A fillfactor would not help: each message changes updated_at, which is indexed, so updates are
    never HOT.
    """

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(
        Id, primary_key=True, default=new_id, server_default=func.gen_random_uuid()
    )
    title: Mapped[str] = mapped_column(String(255))
    auto_title: Mapped[bool] = mapped_column(server_default=text("false"))
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    source: Mapped[str | None] = mapped_column(String(50))
    model: Mapped[str | None] = mapped_column(String(255))
    agent_id: Mapped[str | None] = mapped_column(String(255))
    is_private: Mapped[bool] = mapped_column(server_default=text("false"))
    # SQLAlchemy reserves the name `metadata` on mapped classes.
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata", Json)
    message_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    last_position: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    last_message_role: Mapped[str | None] = mapped_column(MessageRole)
    last_message_content: Mapped[str | None] = mapped_column(String(PREVIEW_CHARACTERS))
    last_message_at: Mapped[datetime | None] = mapped_column(Moment)
    # What a new message answers (db/branches): the last active message if `last_message_known_at`
    # is `last_position`. While the message is inserted, that is `previous_message_id`.
    last_message_id: Mapped[str | None] = mapped_column(Id)
    last_message_known_at: Mapped[int | None] = mapped_column(BigInteger)
    previous_message_id: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    size: Mapped[int] = mapped_column(Integer, bytes_of("metadata"))
    # Writes to other conversations need not look for members. It stays true when the last member is
    # gone: a write consists of several statements, which must all find the same.
    was_shared: Mapped[bool] = mapped_column(server_default=text("false"))
    # How its owner organises it (db/organising). Without CHECK constraints: PostgreSQL would parse
    # them again for each message, and three of them made a message 3 % dearer.
    archived: Mapped[bool] = mapped_column(server_default=text("false"))
    pinned: Mapped[bool] = mapped_column(server_default=text("false"))
    tags: Mapped[list[str]] = mapped_column(
        ARRAY(String(TAG_CHARACTERS)), server_default=text("'{}'")
    )
    # The position of the last message that was read, and the number of messages after it.
    read_position: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    unread_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    # Search finds all messages up to this position, and perhaps others (db/search/backlog.py).
    indexed_position: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))

    messages: Mapped[list["Message"]] = relationship(
        back_populates="conversation",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="Message.position",
    )

    __table_args__ = (
        CheckConstraint("char_length(title) BETWEEN 1 AND 255", name="title"),
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint("json_typeof(metadata) = 'object'", name="metadata"),
        CheckConstraint("message_count >= 0", name="message_count"),
        CheckConstraint("last_position >= message_count", name="last_position"),
        CheckConstraint(
            "num_nulls(last_message_role, last_message_content, last_message_at) IN (0, 3)"
            " AND (message_count = 0) = (last_message_at IS NULL)",
            name="last_message",
        ),
        # The two orders of the list. The id makes them unique, so a page can continue after a row.
        Index("idx_conversations_created_at", *LISTED, "created_at", "id"),
        Index("idx_conversations_user_id", *LISTED, "updated_at", "id"),
        # Partial, so that conversations without the value cost nothing. An index with updated_at
        # would cost each new message a write. Without one, the planner reads in the order of
        # updated_at and filters, or sorts the few rows that these indexes find.
        Index(
            "idx_conversations_source",
            "user_id",
            "source",
            "created_at",
            "id",
            postgresql_where=text("source IS NOT NULL"),
        ),
        Index(
            "idx_conversations_agent_id",
            "user_id",
            "agent_id",
            "created_at",
            "id",
            postgresql_where=text("agent_id IS NOT NULL"),
        ),
        # Finds the conversations with messages that search does not find yet.
        Index(
            "idx_conversations_unindexed",
            "updated_at",
            postgresql_where=text("indexed_position < last_position"),
        ),
    )


class Message(Base):
    """A message. `position` orders a conversation's messages and may have gaps.

    `user_id` is the conversation's owner, so that access can be checked without reading the
    conversation.
    """

    __tablename__ = "messages"

    id: Mapped[str] = mapped_column(
        Id, primary_key=True, default=new_id, server_default=func.gen_random_uuid()
    )
    conversation_id: Mapped[str] = mapped_column(Id)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)
    role: Mapped[str] = mapped_column(MessageRole)
    content: Mapped[str] = mapped_column(Text)
    attachments: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    # What the message shows of its rows in chat_attachments. A later column, so `size`, whose
    # change would rewrite the table, does not count it.
    chat_attachments: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata", Json)
    run_id: Mapped[str | None] = mapped_column(Id)
    routing_decision: Mapped[dict[str, Any] | None] = mapped_column(Json)
    tool_calls: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    # What few messages have, see `db.messages.message_details`. Like chat_attachments, `size` does
    # not count it.
    details: Mapped[dict[str, Any] | None] = mapped_column(Json)
    # What users think of the message, by user id. JSONB, because it is read and changed in part.
    feedback: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    size: Mapped[int] = mapped_column(
        Integer,
        bytes_of("content", "attachments", "metadata", "routing_decision", "tool_calls"),
    )
    # The place in the tree of messages (db/branches). Nearly all messages have null in the last
    # three: then the message is active, has no siblings, and answers the active one before it.
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    parent_id: Mapped[str | None] = mapped_column(Id)
    sibling_index: Mapped[int | None] = mapped_column(Integer)
    sibling_count: Mapped[int | None] = mapped_column(Integer)

    conversation: Mapped[Conversation] = relationship(back_populates="messages")
    run: Mapped["Run | None"] = relationship(viewonly=True)

    __table_args__ = (
        ForeignKeyConstraint(
            ["conversation_id", "user_id"],
            ["conversations.id", "conversations.user_id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["run_id", "user_id"], ["runs.id", "runs.created_by"]),
        CheckConstraint("position > 0", name="position"),
        CheckConstraint("json_typeof(attachments) = 'array'", name="attachments"),
        CheckConstraint("json_typeof(metadata) = 'object'", name="metadata"),
        CheckConstraint("json_typeof(routing_decision) = 'object'", name="routing_decision"),
        CheckConstraint("json_typeof(tool_calls) = 'array'", name="tool_calls"),
        Index(
            "idx_messages_conversation_id", "conversation_id", "position", "user_id", unique=True
        ),
        # Only maintenance selects by time alone. Rows are stored in the order of time, so a BRIN
        # index of a few pages is enough, while a B-tree would cost a write for each insert.
        Index("idx_messages_created_at", "created_at", postgresql_using="brin"),
        # For the foreign key: deleting a run looks for its messages.
        Index("idx_messages_run_id", "run_id", postgresql_where=text("run_id IS NOT NULL")),
    )
