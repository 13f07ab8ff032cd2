"""Runs, their events, and what workers need of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import (
    STATUSES,
    Base,
    Id,
    Json,
    Moment,
    RunStatus,
    bytes_of,
    new_id,
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
    size: Mapped[int] = mapped_column(Integer, bytes_of("input", "output", "error"))
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
    size: Mapped[int] = mapped_column(Integer, bytes_of("data"))

    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "user_id"], ["runs.id", "runs.created_by"], ondelete="CASCADE"
        ),
        CheckConstraint("sequence > 0", name="sequence"),
        CheckConstraint("char_length(type) BETWEEN 1 AND 100", name="type"),
        CheckConstraint("json_typeof(data) = 'object'", name="data"),
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
