"""Add the terms of messages, which search reads."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ENUM, TSVECTOR

from db.schema.table_locks import lock_tables

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_USER = "current_setting('agent_api.acting_user', true)"
_CONVERSATION = "nullif(current_setting('agent_api.conversation', true), '')::uuid"
_OF_USER = f"user_id = {_USER} AND conversation_id = {_CONVERSATION}"

# All rows: a condition on the user would be checked first, and without the index.
EXISTENCE_RIGHTS = {
    "message_terms": "SELECT",
    "conversations": (
        "SELECT (archived, source, agent_id, updated_at, last_position, indexed_position)"
    ),
    "conversation_agents": "SELECT",
}


def upgrade() -> None:
    """Upgrade to this revision; requests wait while the index of conversations is built.

    `agent-api index`, or the servers in the background, index the existing messages.
    """
    op.execute(lock_tables("conversations", "conversation_agents"))
    op.add_column(
        "conversations",
        sa.Column("indexed_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.create_index(
        "idx_conversations_unindexed",
        "conversations",
        ["updated_at"],
        postgresql_where=sa.text("indexed_position < last_position"),
    )
    op.create_table(
        "message_terms",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("role", ENUM(name="message_role", create_type=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("terms", TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint(
            "conversation_id", "message_id", "user_id", name="pk_message_terms"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id", "user_id"],
            ["conversations.id", "conversations.user_id"],
            name="fk_message_terms_conversation_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "idx_message_terms_terms",
        "message_terms",
        ["terms"],
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON message_terms TO agent_api_request")
    op.execute(
        f"CREATE POLICY request ON message_terms TO agent_api_request USING (user_id = {_USER})"
    )
    # Workers and members add what they post.
    op.execute("GRANT INSERT ON message_terms TO agent_api_worker, agent_api_member")
    op.execute(
        "CREATE POLICY worker ON message_terms FOR INSERT TO agent_api_worker"
        f" WITH CHECK ({_OF_USER})"
    )
    op.execute(
        "CREATE POLICY member ON message_terms FOR INSERT TO agent_api_member"
        f" WITH CHECK ({_OF_USER} AND current_setting('agent_api.purpose', true) = 'write')"
    )
    op.execute("GRANT UPDATE (indexed_position) ON conversations TO agent_api_member")
    for table, rights in EXISTENCE_RIGHTS.items():
        op.execute(f"GRANT {rights} ON {table} TO agent_api_existence")
    for table in ("message_terms", "conversation_agents"):
        op.execute(
            f"CREATE POLICY existence ON {table} FOR SELECT TO agent_api_existence USING (true)"
        )
    op.execute("ALTER TABLE message_terms ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Return to 0011."""
    op.execute("DROP POLICY existence ON conversation_agents")
    op.execute("REVOKE SELECT ON conversation_agents FROM agent_api_existence")
    op.execute(
        "REVOKE SELECT (archived, source, agent_id, updated_at, last_position)"
        " ON conversations FROM agent_api_existence"
    )
    op.drop_table("message_terms")
    op.drop_index("idx_conversations_unindexed", "conversations")
    op.drop_column("conversations", "indexed_position")
