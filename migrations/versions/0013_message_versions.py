"""Add versions of messages, and a column for what few messages have: parts and authors."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from db.schema.table_locks import lock_tables

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_USER = "current_setting('agent_api.acting_user', true)"
_RUN = "nullif(current_setting('agent_api.run', true), '')::uuid"
_CONVERSATION = "nullif(current_setting('agent_api.conversation', true), '')::uuid"
_MEMBER = "current_setting('agent_api.member', true)"
_PURPOSE = "current_setting('agent_api.purpose', true)"
_IN_CONVERSATION = f"user_id = {_USER} AND conversation_id = {_CONVERSATION}"
_AUTHOR = "(details ->> 'author')"
# What workers and members may insert into messages, since 0010, and whom they post it as.
MESSAGE_INSERTS = {
    "worker_run": (
        f"{_IN_CONVERSATION} AND (run_id IS NULL OR run_id = {_RUN}) AND chat_attachments IS NULL",
        f"{_AUTHOR} IS NULL",
    ),
    "member_insert": (
        (
            f"{_IN_CONVERSATION} AND run_id IS NULL AND {_PURPOSE} = 'write'"
            " AND chat_attachments IS NULL"
        ),
        f"{_AUTHOR} = {_MEMBER}",
    ),
}
# An editor changes only what they have posted.
_WRITING = f"{_IN_CONVERSATION} AND {_PURPOSE} = 'write'"
_EDITED = "content, metadata, details"
TERMS_RIGHTS = "SELECT (conversation_id, message_id, user_id), UPDATE (terms)"
TERMS_POLICIES = {"SELECT": _IN_CONVERSATION, "UPDATE": _WRITING}


def upgrade() -> None:
    """Upgrade to this revision. Nothing is rewritten."""
    op.execute(lock_tables("messages", "message_terms"))
    # No CHECK constraint: PostgreSQL would read the whole table to verify it.
    op.add_column("messages", sa.Column("details", JSON(none_as_null=True)))
    op.create_table(
        "message_versions",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.String(length=255)),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("parts", JSON(none_as_null=True)),
        sa.Column("metadata", JSON(none_as_null=True)),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column(
            "size",
            sa.Integer(),
            sa.Computed(
                "coalesce(octet_length(content::text), 0) + coalesce(octet_length(parts::text), 0)"
                " + coalesce(octet_length(metadata::text), 0)",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_message_versions_version")),
        sa.CheckConstraint("json_typeof(parts) = 'array'", name=op.f("ck_message_versions_parts")),
        sa.CheckConstraint(
            "json_typeof(metadata) = 'object'", name=op.f("ck_message_versions_metadata")
        ),
        sa.PrimaryKeyConstraint("message_id", "user_id", "version", name="pk_message_versions"),
        sa.ForeignKeyConstraint(
            ["message_id", "user_id"],
            ["messages.id", "messages.user_id"],
            name="fk_message_versions_message_id",
            ondelete="CASCADE",
        ),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON message_versions TO agent_api_request")
    op.execute(
        f"CREATE POLICY request ON message_versions TO agent_api_request USING (user_id = {_USER})"
    )
    op.execute("GRANT SELECT, INSERT ON message_versions TO agent_api_member")
    op.execute(
        "CREATE POLICY member ON message_versions FOR SELECT TO agent_api_member"
        f" USING ({_IN_CONVERSATION})"
    )
    op.execute(
        "CREATE POLICY member_insert ON message_versions FOR INSERT TO agent_api_member"
        f" WITH CHECK ({_WRITING} AND author_id = {_MEMBER})"
    )
    op.execute("ALTER TABLE message_versions ENABLE ROW LEVEL SECURITY")
    op.execute(f"GRANT UPDATE ({_EDITED}) ON messages TO agent_api_member")
    op.execute(
        "CREATE POLICY member_update ON messages FOR UPDATE TO agent_api_member"
        f" USING ({_WRITING} AND {_AUTHOR} = {_MEMBER})"
    )
    for policy, (rows, author) in MESSAGE_INSERTS.items():
        op.execute(f"ALTER POLICY {policy} ON messages WITH CHECK ({rows} AND {author})")
    # Search finds what an edited message says now.
    op.execute(f"GRANT {TERMS_RIGHTS} ON message_terms TO agent_api_member")
    for policy, condition in TERMS_POLICIES.items():
        op.execute(
            f"CREATE POLICY member_{policy.lower()} ON message_terms FOR {policy}"
            f" TO agent_api_member USING ({condition})"
        )


def downgrade() -> None:
    """Return to 0012. Earlier versions, parts and authors are lost."""
    for policy in TERMS_POLICIES:
        op.execute(f"DROP POLICY member_{policy.lower()} ON message_terms")
    op.execute(f"REVOKE {TERMS_RIGHTS} ON message_terms FROM agent_api_member")
    for policy, (rows, _) in MESSAGE_INSERTS.items():
        op.execute(f"ALTER POLICY {policy} ON messages WITH CHECK ({rows})")
    op.execute("DROP POLICY member_update ON messages")
    op.execute(f"REVOKE UPDATE ({_EDITED}) ON messages FROM agent_api_member")
    op.drop_table("message_versions")
    op.drop_column("messages", "details")
