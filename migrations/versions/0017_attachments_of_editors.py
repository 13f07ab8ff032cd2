"""Let editors add their own attachments, which are copied to the owner of the conversation."""

from alembic import op

from db.schema.table_locks import lock_tables

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_USER = "current_setting('agent_api.acting_user', true)"
_CONVERSATION = "nullif(current_setting('agent_api.conversation', true), '')::uuid"
_MEMBER = "current_setting('agent_api.member', true)"
_POSTS = "current_setting('agent_api.purpose', true) IN ('write', 'branch')"
_IN_CONVERSATION = f"user_id = {_USER} AND conversation_id = {_CONVERSATION}"
# A member sees only attachments of their own, and stores only the owner's.
POLICIES = {
    "member ON chat_attachments FOR SELECT": f"USING (user_id = {_MEMBER} AND {_POSTS})",
    "member_insert ON chat_attachments FOR INSERT": (
        f"WITH CHECK ({_IN_CONVERSATION} AND {_POSTS})"
    ),
}
MESSAGES = (
    f"{_IN_CONVERSATION} AND run_id IS NULL AND (details ->> 'author') = {_MEMBER} AND {_POSTS}"
)


def upgrade() -> None:
    """Upgrade to this revision. Nothing is rewritten."""
    op.execute(lock_tables("messages", "chat_attachments"))
    op.execute("GRANT SELECT, INSERT ON chat_attachments TO agent_api_member")
    for policy, rows in POLICIES.items():
        op.execute(f"CREATE POLICY {policy} TO agent_api_member {rows}")
    op.execute(f"ALTER POLICY member_insert ON messages WITH CHECK ({MESSAGES})")


def downgrade() -> None:
    """Return to 0016. The copies stay with the owners."""
    rows = f"{MESSAGES} AND chat_attachments IS NULL"
    op.execute(f"ALTER POLICY member_insert ON messages WITH CHECK ({rows})")
    for policy in POLICIES:
        op.execute(f"DROP POLICY {policy.partition(' FOR ')[0]}")
    op.execute("REVOKE SELECT, INSERT ON chat_attachments FROM agent_api_member")
