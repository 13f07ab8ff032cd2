"""Add the shares of conversations, and the role of members."""

import sqlalchemy as sa
from alembic import op

from db.schema.role_creation import create_roles
from db.schema.table_locks import lock_tables

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_USER = "current_setting('agent_api.acting_user', true)"
_CONVERSATION = "nullif(current_setting('agent_api.conversation', true), '')::uuid"
_RUN = "nullif(current_setting('agent_api.run', true), '')::uuid"
_MEMBER = "current_setting('agent_api.member', true)"
_PURPOSE = "current_setting('agent_api.purpose', true)"
_OF_USER = f"user_id = {_USER} AND conversation_id = {_CONVERSATION}"

_RUN_COLUMNS = (
    "id, agent_id, conversation_id, status, created_by, created_at, updated_at, started_at,"
    " finished_at, cancel_requested_at, attempts, last_sequence"
)
_COUNTERS = (
    "message_count, last_position, last_message_role, last_message_content, last_message_at,"
    " title, auto_title, updated_at"
)
MEMBER_RIGHTS = {
    "conversations": f"SELECT, UPDATE ({_COUNTERS})",
    "messages": "SELECT, INSERT",
    "runs": f"SELECT ({_RUN_COLUMNS})",
    "run_events": "SELECT",
    "shares": "SELECT, DELETE",
    "memberships": "SELECT, UPDATE (updated_at, agent_id), DELETE",
    "changes": "INSERT",
    "idempotency_keys": "SELECT, INSERT, UPDATE",
}
# A member acts as the owner of one conversation, for one purpose: to read, write or leave it.
MEMBER_POLICIES = {
    # The setting of a list has several ids. No condition for an index: with `= ANY`, PostgreSQL
    # reads all of the owner's entries in an index, because it expects only a few.
    "member ON conversations FOR SELECT": (
        f"user_id = {_USER}"
        " AND strpos(current_setting('agent_api.conversation', true), id::text) > 0"
    ),
    "member_update ON conversations FOR UPDATE": (
        f"user_id = {_USER} AND id = {_CONVERSATION} AND {_PURPOSE} IN ('write', 'leave')"
    ),
    "member ON messages FOR SELECT": _OF_USER,
    "member ON runs FOR SELECT": f"created_by = {_USER} AND conversation_id = {_CONVERSATION}",
    "member ON run_events FOR SELECT": f"user_id = {_USER} AND run_id = {_RUN}",
    "member ON shares FOR SELECT": _OF_USER,
    "member_delete ON shares FOR DELETE": (
        f"{_OF_USER} AND member_id = {_MEMBER} AND {_PURPOSE} = 'leave'"
    ),
    # A write tells the other members, one after the other as the acting user.
    "member ON memberships FOR SELECT": _OF_USER,
    "member_update ON memberships FOR UPDATE": f"{_OF_USER} AND {_PURPOSE} = 'write'",
    "member_delete ON memberships FOR DELETE": (
        f"{_OF_USER} AND user_id = {_MEMBER} AND {_PURPOSE} = 'leave'"
    ),
    # The responses that are stored for the owner and for other members stay hidden.
    "member ON idempotency_keys FOR ALL": (
        f"{_OF_USER} AND starts_with(key, 'member ' || current_setting('agent_api.conversation',"
        f" true) || ' ' || encode(sha256(convert_to({_MEMBER}, 'UTF8')), 'hex') || ' ')"
    ),
}
MEMBER_INSERTS = {
    "member_insert ON messages": f"{_OF_USER} AND run_id IS NULL AND {_PURPOSE} = 'write'",
    "member ON changes": f"{_OF_USER} AND {_PURPOSE} IN ('write', 'leave')",
}
# Workers and members tell the other members what they write.
WORKER_RIGHTS = {"shares": "SELECT", "memberships": "SELECT, UPDATE (updated_at, agent_id)"}


def upgrade() -> None:
    """Upgrade to this revision. Nothing is rewritten."""
    op.execute(
        lock_tables(
            "conversations",
            "messages",
            "runs",
            "run_events",
            "changes",
            "idempotency_keys",
        )
    )
    op.execute(create_roles())
    op.add_column(
        "conversations",
        sa.Column("was_shared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    _create_shares()
    _create_memberships()
    for table in ("shares", "memberships"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO agent_api_request")
        op.execute(
            f"CREATE POLICY request ON {table} TO agent_api_request USING (user_id = {_USER})"
        )
        op.execute(f"CREATE POLICY worker ON {table} TO agent_api_worker USING ({_OF_USER})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    for table, rights in WORKER_RIGHTS.items():
        op.execute(f"GRANT {rights} ON {table} TO agent_api_worker")
    for table, rights in MEMBER_RIGHTS.items():
        op.execute(f"GRANT {rights} ON {table} TO agent_api_member")
    for policy, rows in MEMBER_POLICIES.items():
        op.execute(f"CREATE POLICY {policy} TO agent_api_member USING ({rows})")
    for policy, rows in MEMBER_INSERTS.items():
        op.execute(f"CREATE POLICY {policy} FOR INSERT TO agent_api_member WITH CHECK ({rows})")
    # To find the conversation of a message that its reader may be a member of.
    op.execute("GRANT SELECT (conversation_id) ON messages TO agent_api_existence")


def _create_shares() -> None:
    op.create_table(
        "shares",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.CheckConstraint(
            "char_length(member_id) BETWEEN 1 AND 255 AND member_id <> user_id",
            name=op.f("ck_shares_member_id"),
        ),
        sa.CheckConstraint("role IN ('viewer', 'editor')", name=op.f("ck_shares_role")),
        sa.PrimaryKeyConstraint("conversation_id", "user_id", "member_id", name="pk_shares"),
        sa.ForeignKeyConstraint(
            ["conversation_id", "user_id"],
            ["conversations.id", "conversations.user_id"],
            name="fk_shares_conversation_id",
            ondelete="CASCADE",
        ),
    )


def _create_memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("owner_id", sa.String(length=255), nullable=False),
        sa.Column("share_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("shared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=50)),
        sa.Column("agent_id", sa.String(length=255)),
        sa.CheckConstraint(
            "char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_memberships_user_id")
        ),
        sa.CheckConstraint("role IN ('viewer', 'editor')", name=op.f("ck_memberships_role")),
        sa.PrimaryKeyConstraint("conversation_id", "user_id", name="pk_memberships"),
    )
    for column in ("created_at", "updated_at"):
        op.create_index(
            f"idx_memberships_{column}", "memberships", ["user_id", column, "conversation_id"]
        )


def downgrade() -> None:
    """Return to 0008. All shares are lost; the role stays."""
    op.execute("REVOKE SELECT (conversation_id) ON messages FROM agent_api_existence")
    for policy in (*MEMBER_POLICIES, *MEMBER_INSERTS):
        op.execute(f"DROP POLICY {policy.partition(' FOR ')[0]}")
    for table in MEMBER_RIGHTS:
        op.execute(f"REVOKE ALL ON {table} FROM agent_api_member")
    op.drop_table("memberships")
    op.drop_table("shares")
    op.drop_column("conversations", "was_shared")
