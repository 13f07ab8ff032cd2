"""Add chat attachments, which messages can show."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from db.schema.table_locks import lock_tables

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_USER = "current_setting('agent_api.acting_user', true)"
_RUN = "nullif(current_setting('agent_api.run', true), '')::uuid"
_CONVERSATION = "nullif(current_setting('agent_api.conversation', true), '')::uuid"
_IN_CONVERSATION = f"user_id = {_USER} AND conversation_id = {_CONVERSATION}"
# What workers and members may insert into messages, since 0007 and 0009.
MESSAGE_INSERTS = {
    "worker_run": f"{_IN_CONVERSATION} AND (run_id IS NULL OR run_id = {_RUN})",
    "member_insert": (
        f"{_IN_CONVERSATION} AND run_id IS NULL"
        " AND current_setting('agent_api.purpose', true) = 'write'"
    ),
}


def upgrade() -> None:
    """Upgrade to this revision. Nothing is rewritten."""
    op.execute(lock_tables("conversations", "messages"))
    # No CHECK constraint: PostgreSQL would read the whole table to verify it.
    op.add_column("messages", sa.Column("chat_attachments", JSON(none_as_null=True)))
    op.create_table(
        "chat_attachments",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("file_url", sa.Text(), nullable=False),
        sa.Column("mime_type", sa.String(length=255)),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column(
            "added_to_library", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("library_document_id", sa.String(length=255)),
        sa.Column("parsed_content", sa.Text()),
        sa.Column("conversation_id", sa.Uuid()),
        sa.Column("message_id", sa.Uuid()),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column(
            "size",
            sa.Integer(),
            sa.Computed(
                "coalesce(octet_length(file_url::text), 0)"
                " + coalesce(octet_length(parsed_content::text), 0)",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.CheckConstraint(
            "char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_chat_attachments_user_id")
        ),
        sa.CheckConstraint(
            "char_length(filename) BETWEEN 1 AND 255", name=op.f("ck_chat_attachments_filename")
        ),
        sa.CheckConstraint(
            "char_length(file_url) BETWEEN 1 AND 8192", name=op.f("ck_chat_attachments_file_url")
        ),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_chat_attachments_size_bytes")),
        sa.CheckConstraint(
            "num_nulls(conversation_id, message_id) IN (0, 2)",
            name=op.f("ck_chat_attachments_message_id"),
        ),
        sa.PrimaryKeyConstraint("id", "user_id", name="pk_chat_attachments"),
        sa.ForeignKeyConstraint(
            ["conversation_id", "user_id"],
            ["conversations.id", "conversations.user_id"],
            name="fk_chat_attachments_conversation_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "idx_chat_attachments_created_at", "chat_attachments", ["user_id", "created_at", "id"]
    )
    op.create_index(
        "idx_chat_attachments_added_to_library",
        "chat_attachments",
        ["user_id", "added_to_library", "created_at", "id"],
    )
    op.create_index(
        "idx_chat_attachments_conversation_id",
        "chat_attachments",
        ["conversation_id", "created_at", "id"],
        postgresql_where=sa.text("conversation_id IS NOT NULL"),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON chat_attachments TO agent_api_request")
    op.execute(
        f"CREATE POLICY request ON chat_attachments TO agent_api_request USING (user_id = {_USER})"
    )
    op.execute("GRANT SELECT (id, user_id) ON chat_attachments TO agent_api_existence")
    op.execute(
        "CREATE POLICY existence ON chat_attachments FOR SELECT TO agent_api_existence USING (true)"
    )
    op.execute("ALTER TABLE chat_attachments ENABLE ROW LEVEL SECURITY")
    # Workers and members have no rights on attachments, so their messages cannot show any.
    for policy, rows in MESSAGE_INSERTS.items():
        op.execute(
            f"ALTER POLICY {policy} ON messages WITH CHECK ({rows} AND chat_attachments IS NULL)"
        )


def downgrade() -> None:
    """Return to 0009. All attachments are lost."""
    for policy, rows in MESSAGE_INSERTS.items():
        op.execute(f"ALTER POLICY {policy} ON messages WITH CHECK ({rows})")
    op.drop_table("chat_attachments")
    op.drop_column("messages", "chat_attachments")
