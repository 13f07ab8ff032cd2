"""Create conversations, messages, chat settings and runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ENUM, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Created separately: a table would create its enum even if another table already had.
message_role = ENUM("user", "assistant", "system", name="message_role", create_type=False)
run_status = ENUM(
    "pending",
    "running",
    "succeeded",
    "failed",
    "timeout",
    "cancelled",
    name="run_status",
    create_type=False,
)


def upgrade() -> None:
    """Upgrade to this revision."""
    for enum in (message_role, run_status):
        enum.create(op.get_bind(), checkfirst=False)
    op.create_table(
        "chat_settings",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column(
            "enabled_tools", sa.ARRAY(sa.String()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "enabled_agents", sa.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("model", sa.String(length=255)),
        sa.Column("temperature", sa.Double(), server_default=sa.text("0.7"), nullable=False),
        sa.Column("max_tokens", sa.Integer(), server_default=sa.text("2000"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "array_position(enabled_agents, NULL) IS NULL",
            name=op.f("ck_chat_settings_enabled_agents"),
        ),
        sa.CheckConstraint(
            "array_position(enabled_tools, NULL) IS NULL",
            name=op.f("ck_chat_settings_enabled_tools"),
        ),
        sa.CheckConstraint(
            "char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_chat_settings_user_id")
        ),
        sa.CheckConstraint(
            "max_tokens BETWEEN 1 AND 32000", name=op.f("ck_chat_settings_max_tokens")
        ),
        sa.CheckConstraint(
            "temperature BETWEEN 0 AND 2", name=op.f("ck_chat_settings_temperature")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_chat_settings"),
        sa.UniqueConstraint("user_id", name="uq_chat_settings_user_id"),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("auto_title", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=50)),
        sa.Column("model", sa.String(length=255)),
        sa.Column("agent_id", sa.String(length=255)),
        sa.Column("is_private", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("metadata", JSONB()),
        sa.Column("message_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_message_role", message_role),
        sa.Column("last_message_content", sa.String(length=100)),
        sa.Column("last_message_at", sa.DateTime(timezone=True)),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "jsonb_typeof(metadata) = 'object'", name=op.f("ck_conversations_metadata")
        ),
        sa.CheckConstraint(
            "char_length(title) BETWEEN 1 AND 255", name=op.f("ck_conversations_title")
        ),
        sa.CheckConstraint(
            "char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_conversations_user_id")
        ),
        sa.CheckConstraint(
            "last_position >= message_count", name=op.f("ck_conversations_last_position")
        ),
        sa.CheckConstraint("message_count >= 0", name=op.f("ck_conversations_message_count")),
        sa.CheckConstraint(
            "num_nulls(last_message_role, last_message_content, last_message_at) IN (0, 3)"
            " AND (message_count = 0) = (last_message_at IS NULL)",
            name=op.f("ck_conversations_last_message"),
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.create_index(
        "idx_conversations_agent_id",
        "conversations",
        ["user_id", "agent_id", "created_at", "id"],
        postgresql_where=sa.text("agent_id IS NOT NULL"),
    )
    op.create_index(
        "idx_conversations_created_at", "conversations", ["user_id", "created_at", "id"]
    )
    op.create_index(
        "idx_conversations_source",
        "conversations",
        ["user_id", "source", "created_at", "id"],
        postgresql_where=sa.text("source IS NOT NULL"),
    )
    op.create_index("idx_conversations_user_id", "conversations", ["user_id", "updated_at", "id"])
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("agent_id", sa.String(length=255), nullable=False),
        sa.Column("conversation_id", sa.Uuid()),
        sa.Column("status", run_status, server_default=sa.text("'pending'"), nullable=False),
        sa.Column("input", JSONB()),
        sa.Column("output", JSONB()),
        sa.Column("error", sa.Text()),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "(status <> 'pending' OR started_at IS NULL)"
            " AND (status NOT IN ('running', 'succeeded') OR started_at IS NOT NULL)",
            name=op.f("ck_runs_started_at"),
        ),
        sa.CheckConstraint(
            "(status IN ('pending', 'running')) = (finished_at IS NULL)",
            name=op.f("ck_runs_finished_at"),
        ),
        sa.CheckConstraint("jsonb_typeof(input) = 'object'", name=op.f("ck_runs_input")),
        sa.CheckConstraint("jsonb_typeof(output) = 'object'", name=op.f("ck_runs_output")),
        sa.CheckConstraint(
            "char_length(created_by) BETWEEN 1 AND 255", name=op.f("ck_runs_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_runs_conversation_id",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("idx_runs_agent_id", "runs", ["created_by", "agent_id", "created_at", "id"])
    op.create_index(
        "idx_runs_conversation_id",
        "runs",
        ["conversation_id", "created_at", "id"],
        postgresql_where=sa.text("conversation_id IS NOT NULL"),
    )
    op.create_index("idx_runs_created_by", "runs", ["created_by", "created_at", "id"])
    op.create_index("idx_runs_status", "runs", ["created_by", "status", "created_at", "id"])
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("role", message_role, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("attachments", JSONB()),
        sa.Column("metadata", JSONB()),
        sa.Column("run_id", sa.Uuid()),
        sa.Column("routing_decision", JSONB()),
        sa.Column("tool_calls", JSONB()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "jsonb_typeof(attachments) = 'array'", name=op.f("ck_messages_attachments")
        ),
        sa.CheckConstraint("jsonb_typeof(metadata) = 'object'", name=op.f("ck_messages_metadata")),
        sa.CheckConstraint(
            "jsonb_typeof(routing_decision) = 'object'", name=op.f("ck_messages_routing_decision")
        ),
        sa.CheckConstraint(
            "jsonb_typeof(tool_calls) = 'array'", name=op.f("ck_messages_tool_calls")
        ),
        sa.CheckConstraint("position > 0", name=op.f("ck_messages_position")),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_messages_conversation_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_messages_run_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
    )
    op.create_index(
        "idx_messages_conversation_id", "messages", ["conversation_id", "position"], unique=True
    )
    op.create_index("idx_messages_created_at", "messages", ["created_at"], postgresql_using="brin")
    op.create_index(
        "idx_messages_run_id",
        "messages",
        ["run_id"],
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Drop all tables, with their indexes, and the enums."""
    for table in ("messages", "runs", "conversations", "chat_settings"):
        op.drop_table(table)
    for enum in (run_status, message_role):
        enum.drop(op.get_bind(), checkfirst=False)
