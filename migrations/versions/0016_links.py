"""Add public links to snapshots of conversations, and the role that reads the snapshots."""

import sqlalchemy as sa
from alembic import op

from db.schema.role_creation import create_roles
from db.schema.table_locks import lock_tables

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_USER = "current_setting('agent_api.acting_user', true)"
# To read a snapshot, a statement acts as the hash of its secret. No other right shows the snapshot.
OF_SECRET = f"secret_hash = {_USER}"
NOT_EXPIRED = "(expires_at IS NULL OR expires_at > statement_timestamp())"


def upgrade() -> None:
    """Upgrade to this revision. Nothing is rewritten."""
    op.execute(lock_tables("conversations"))
    op.execute(create_roles())
    op.create_table(
        "links",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("secret_hash", sa.String(length=255), nullable=False),
        sa.Column("with_attachments", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.CheckConstraint("char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_links_user_id")),
        sa.PrimaryKeyConstraint("id", "user_id", name="pk_links"),
        sa.ForeignKeyConstraint(
            ["conversation_id", "user_id"],
            ["conversations.id", "conversations.user_id"],
            name="fk_links_conversation_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("idx_links_conversation_id", "links", ["conversation_id", "created_at", "id"])
    op.create_index(
        "idx_links_expires_at",
        "links",
        ["expires_at"],
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_table(
        "published_conversations",
        sa.Column("secret_hash", sa.String(length=255), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "char_length(secret_hash) = 64", name=op.f("ck_published_conversations_secret_hash")
        ),
        sa.PrimaryKeyConstraint("secret_hash", name="pk_published_conversations"),
    )
    rules = {"links": f"user_id = {_USER}", "published_conversations": OF_SECRET}
    for table, rows in rules.items():
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO agent_api_request")
        op.execute(f"CREATE POLICY request ON {table} TO agent_api_request USING ({rows})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute("GRANT SELECT ON published_conversations TO agent_api_public")
    op.execute(
        "CREATE POLICY public ON published_conversations FOR SELECT TO agent_api_public"
        f" USING ({OF_SECRET} AND {NOT_EXPIRED})"
    )
    # To sweep the expired links of all users.
    op.execute("GRANT SELECT (id, user_id, expires_at) ON links TO agent_api_existence")
    op.execute("CREATE POLICY existence ON links FOR SELECT TO agent_api_existence USING (true)")


def downgrade() -> None:
    """Return to 0015. All links stop working; the role stays."""
    op.drop_table("published_conversations")
    op.drop_table("links")
