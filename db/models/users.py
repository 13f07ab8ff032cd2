"""What belongs to a user as a whole."""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Double,
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
    Base,
    Id,
    Json,
    Moment,
    new_id,
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
    # No foreign keys, because the log also reports deletions: the object is gone by then.
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
