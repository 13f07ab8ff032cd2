"""Defines the tables with their constraints and indexes."""

from datetime import datetime
from typing import Any, cast

import uuid_utils
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    Double,
    Enum,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

ROLES = ("user", "assistant", "system")
STATUSES = ("pending", "running", "succeeded", "failed", "timeout", "cancelled")
PREVIEW_CHARACTERS = 100

Id = Uuid(as_uuid=False)
# JSON keeps the order of keys and the spelling of numbers; JSONB would expand exponents. None is
# stored as SQL NULL, because queries would otherwise also have to test for JSON null.
Json = JSON(none_as_null=True)
Moment = DateTime(timezone=True)
MessageRole = Enum(*ROLES, name="message_role")
RunStatus = Enum(*STATUSES, name="run_status")


def new_id() -> str:
    """Return a UUIDv7, so that consecutive rows are adjacent in the primary key's index."""
    return str(uuid_utils.uuid7())


def _bytes_of(*columns: str) -> Computed:
    """Return the column `size`: the bytes of a row's texts and JSON, which limit a page."""
    parts = [f"coalesce(octet_length({column}::text), 0)" for column in columns]
    return Computed(" + ".join(parts), persisted=True)


class Base(DeclarativeBase):
    """Base of all tables. Every constraint has a name, so that migrations can refer to it.

    The keys of all rows with user data include their owner, so that the tables can be distributed
    by user (docs/decisions/0013).
    """

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "idx_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


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
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    size: Mapped[int] = mapped_column(Integer, _bytes_of("metadata"))

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
        Index("idx_conversations_created_at", "user_id", "created_at", "id"),
        Index("idx_conversations_user_id", "user_id", "updated_at", "id"),
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
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata", Json)
    run_id: Mapped[str | None] = mapped_column(Id)
    routing_decision: Mapped[dict[str, Any] | None] = mapped_column(Json)
    tool_calls: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    size: Mapped[int] = mapped_column(
        Integer,
        _bytes_of("content", "attachments", "metadata", "routing_decision", "tool_calls"),
    )

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


class ChatSettings(Base):
    """A user's chat settings; users who have not saved any have no row."""

    __tablename__ = "chat_settings"

    id: Mapped[str] = mapped_column(Id, default=new_id, server_default=func.gen_random_uuid())
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    enabled_tools: Mapped[list[str]] = mapped_column(ARRAY(String), server_default=text("'{}'"))
    enabled_agents: Mapped[list[str]] = mapped_column(ARRAY(Id), server_default=text("'{}'"))
    model: Mapped[str | None] = mapped_column(String(255))
    temperature: Mapped[float] = mapped_column(Double, server_default=text("0.7"))
    max_tokens: Mapped[int] = mapped_column(Integer, server_default=text("2000"))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())

    __table_args__ = (
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint("array_position(enabled_tools, NULL) IS NULL", name="enabled_tools"),
        CheckConstraint("array_position(enabled_agents, NULL) IS NULL", name="enabled_agents"),
        CheckConstraint("temperature BETWEEN 0 AND 2", name="temperature"),
        CheckConstraint("max_tokens BETWEEN 1 AND 32000", name="max_tokens"),
    )


class Run(Base):
    """An agent's run. Messages can refer to it, and it outlives its conversation."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(
        Id, primary_key=True, default=new_id, server_default=func.gen_random_uuid()
    )
    agent_id: Mapped[str] = mapped_column(String(255))
    conversation_id: Mapped[str | None] = mapped_column(Id)
    status: Mapped[str] = mapped_column(RunStatus, server_default=text("'pending'"))
    input: Mapped[dict[str, Any] | None] = mapped_column(Json)
    output: Mapped[dict[str, Any] | None] = mapped_column(Json)
    error: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(255), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    size: Mapped[int] = mapped_column(Integer, _bytes_of("input", "output", "error"))
    last_sequence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    has_transient: Mapped[bool] = mapped_column(server_default=text("false"))
    cancel_requested_at: Mapped[datetime | None] = mapped_column(Moment)
    # How often workers have claimed it.
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    # Pending until earlier runs of the conversation have ended. Until then it is not in the queue.
    waits: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        # Deleting a conversation unlinks its runs. Servers older than revision 0005 leave that
        # to the key.
        ForeignKeyConstraint(
            ["conversation_id", "created_by"],
            ["conversations.id", "conversations.user_id"],
            ondelete="SET NULL (conversation_id)",
        ),
        CheckConstraint("char_length(created_by) BETWEEN 1 AND 255", name="created_by"),
        CheckConstraint("json_typeof(input) = 'object'", name="input"),
        CheckConstraint("json_typeof(output) = 'object'", name="output"),
        CheckConstraint(
            "(status <> 'pending' OR started_at IS NULL)"
            " AND (status NOT IN ('running', 'succeeded') OR started_at IS NOT NULL)",
            name="started_at",
        ),
        CheckConstraint(
            "(status IN ('pending', 'running')) = (finished_at IS NULL)", name="finished_at"
        ),
        Index("idx_runs_created_by", "created_by", "created_at", "id"),
        Index("idx_runs_agent_id", "created_by", "agent_id", "created_at", "id"),
        # One index per status instead of a status column: PostgreSQL does not consider comparing
        # enums leakproof, so it must not compare them before checking a row's policy. Matching a
        # query's condition to a partial index compares no rows.
        *(
            Index(
                f"idx_runs_status_{status}",
                "created_by",
                "created_at",
                "id",
                postgresql_where=text(f"status = '{status}'"),
            )
            for status in STATUSES
        ),
        # Starts with the conversation, not the user, so that it also serves the foreign key.
        Index(
            "idx_runs_conversation_id",
            "conversation_id",
            "created_at",
            "id",
            postgresql_where=text("conversation_id IS NOT NULL"),
        ),
        # For busy conversations, however many runs they had before.
        Index(
            "idx_runs_active",
            "conversation_id",
            "created_at",
            "id",
            postgresql_where=text(
                "conversation_id IS NOT NULL AND status IN ('pending', 'running')"
            ),
        ),
        # Finds the runs that waited in a conversation that was deleted.
        Index("idx_runs_waits", "created_by", "id", postgresql_where=text("waits")),
        # Finds the ended runs whose transient events are still to be deleted.
        Index("idx_runs_transient", "finished_at", postgresql_where=text("has_transient")),
    )


class RunEvent(Base):
    """An event of a run. The run's row lock serialises writers, so `sequence` has no gaps."""

    __tablename__ = "run_events"

    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    type: Mapped[str] = mapped_column(String(100))
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    transient: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    size: Mapped[int] = mapped_column(Integer, _bytes_of("data"))

    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "user_id"], ["runs.id", "runs.created_by"], ondelete="CASCADE"
        ),
        CheckConstraint("sequence > 0", name="sequence"),
        CheckConstraint("char_length(type) BETWEEN 1 AND 100", name="type"),
        CheckConstraint("json_typeof(data) = 'object'", name="data"),
    )


class Change(Base):
    """A change of one of the user's resources, which the transaction that made it also inserts.

    A change has no `sequence` until somebody reads the user's log: writers of one user would
    otherwise wait for each other (docs/decisions/0018).
    """

    __tablename__ = "changes"

    id: Mapped[str] = mapped_column(
        Id, primary_key=True, default=new_id, server_default=func.gen_random_uuid()
    )
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String(50))
    # No foreign keys: a change remains when what it is about is deleted.
    conversation_id: Mapped[str | None] = mapped_column(Id)
    resource_id: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())

    __table_args__ = (
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint("sequence > 0", name="sequence"),
        # Partial, so that each change is in only one of them.
        Index("idx_changes_unnumbered", "user_id", postgresql_where=text("sequence IS NULL")),
        Index(
            "idx_changes_sequence",
            "user_id",
            "sequence",
            unique=True,
            postgresql_where=text("sequence IS NOT NULL"),
        ),
    )


class ChangePosition(Base):
    """The highest number that a change of the user has; its lock serialises the numbering."""

    __tablename__ = "change_positions"

    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    last_sequence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))

    __table_args__ = (
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint("last_sequence >= 0", name="last_sequence"),
        # Space for new versions of a row on its page: followers update the same rows often.
        {"postgresql_with": {"fillfactor": 70}},
    )


class RunQueue(Base):
    """The pending runs, by agent, for the workers that claim them.

    A claim knows the agent but not the owner, so the agent is part of the key, and the rows can be
    distributed by it. A row may remain after its run was cancelled; the next claim removes it.
    """

    __tablename__ = "run_queue"

    agent_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (Index("idx_run_queue_agent_id", "agent_id", "created_at", "run_id"),)


class RunLease(Base):
    """The lease of a worker on a run. Only the hash of the lease is stored."""

    __tablename__ = "run_leases"

    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    worker: Mapped[str] = mapped_column(String(255))
    expires_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "user_id"], ["runs.id", "runs.created_by"], ondelete="CASCADE"
        ),
        CheckConstraint("octet_length(hash) = 32", name="hash"),
        Index("idx_run_leases_expires_at", "expires_at"),
    )


class IdempotencyKey(Base):
    """The idempotency key of a POST and its response, which a retry receives again.

    A response contains user data, so it is deleted together with the conversation it belongs to.
    """

    __tablename__ = "idempotency_keys"

    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(Integer)
    headers: Mapped[dict[str, str]] = mapped_column(Json)
    # Every body is UTF-8 without NUL. JSONB would not preserve its bytes.
    body: Mapped[str] = mapped_column(Text)
    conversation_id: Mapped[str | None] = mapped_column(Id)
    expires_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        ForeignKeyConstraint(
            ["conversation_id", "user_id"],
            ["conversations.id", "conversations.user_id"],
            ondelete="CASCADE",
        ),
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint("char_length(key) BETWEEN 1 AND 255", name="key"),
        CheckConstraint("octet_length(fingerprint) = 32", name="fingerprint"),
        CheckConstraint("status BETWEEN 200 AND 299", name="status"),
        CheckConstraint("json_typeof(headers) = 'object'", name="headers"),
        # For the foreign key, and to find expired rows.
        Index(
            "idx_idempotency_keys_conversation_id",
            "conversation_id",
            postgresql_where=text("conversation_id IS NOT NULL"),
        ),
        Index("idx_idempotency_keys_expires_at", "expires_at"),
    )


class RateLimit(Base):
    """The number of requests a user may still send; a missing row means a full bucket.

    Unlogged, because every request writes to it, and all buckets may be full after a crash.
    """

    __tablename__ = "rate_limits"

    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    tokens: Mapped[float] = mapped_column(Double)
    # Whether the last request got a token. A column because an upsert returns only what it wrote.
    taken: Mapped[bool]
    updated_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name="user_id"),
        CheckConstraint("tokens >= 0", name="tokens"),
        {"prefixes": ["UNLOGGED"]},
    )


conversations = cast(Table, Conversation.__table__)
messages = cast(Table, Message.__table__)
chat_settings = cast(Table, ChatSettings.__table__)
runs = cast(Table, Run.__table__)
run_events = cast(Table, RunEvent.__table__)
changes = cast(Table, Change.__table__)
change_positions = cast(Table, ChangePosition.__table__)
run_queue = cast(Table, RunQueue.__table__)
run_leases = cast(Table, RunLease.__table__)
idempotency_keys = cast(Table, IdempotencyKey.__table__)
rate_limits = cast(Table, RateLimit.__table__)

_OWNER_COLUMNS = {"runs": "created_by", "run_queue": "agent_id"}
OWNERS = {
    table.name: table.c[_OWNER_COLUMNS.get(table.name, "user_id")]
    for table in Base.metadata.sorted_tables
}
"""The column of each table that contains the row's owner; in the queue, that is the agent."""
