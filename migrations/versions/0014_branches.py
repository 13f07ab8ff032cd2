"""Let the messages of a conversation form a tree, of which one path is active."""

from alembic import op

from db.schema.table_locks import lock_tables

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_USER = "current_setting('agent_api.acting_user', true)"
_CONVERSATION = "nullif(current_setting('agent_api.conversation', true), '')::uuid"
_MEMBER = "current_setting('agent_api.member', true)"
_PURPOSE = "current_setting('agent_api.purpose', true)"
_IN_CONVERSATION = f"user_id = {_USER} AND conversation_id = {_CONVERSATION}"

# One statement for each table, so that PostgreSQL changes its catalog once. Nothing is rewritten.
COLUMNS = """
ALTER TABLE messages
  ADD active boolean DEFAULT true NOT NULL,
  ADD parent_id uuid,
  ADD sibling_index integer,
  ADD sibling_count integer
"""
KNOWN = """
ALTER TABLE conversations
  ADD last_message_id uuid,
  ADD last_message_known_at bigint,
  ADD previous_message_id uuid
"""
LAST = "last_message_id, last_message_known_at, previous_message_id"
PLACES = "parent_id, active, sibling_index, sibling_count"
# Workers and members start branches, which hide other messages. Members do so for a purpose of its
# own: for others, an editor changes only the messages that they have posted.
POLICIES = {
    "worker_branch ON messages FOR UPDATE TO agent_api_worker": _IN_CONVERSATION,
    "member_branch ON messages FOR UPDATE TO agent_api_member": (
        f"{_IN_CONVERSATION} AND {_PURPOSE} = 'branch'"
    ),
}
# What else a member does to post: since 0009, 0011, 0012 and 0013, with their purposes.
POSTING = {
    "member_update ON conversations USING": (
        f"user_id = {_USER} AND id = {_CONVERSATION}",
        "'write', 'leave'",
    ),
    "member_update ON memberships USING": (_IN_CONVERSATION, "'write'"),
    "member ON changes WITH CHECK": (_IN_CONVERSATION, "'write', 'leave'"),
    "member ON membership_agents WITH CHECK": (_IN_CONVERSATION, "'write'"),
    "member ON conversation_agents WITH CHECK": (_IN_CONVERSATION, "'write'"),
    "member ON message_terms WITH CHECK": (_IN_CONVERSATION, "'write'"),
    "member_insert ON messages WITH CHECK": (
        (
            f"{_IN_CONVERSATION} AND run_id IS NULL AND chat_attachments IS NULL"
            f" AND (details ->> 'author') = {_MEMBER}"
        ),
        "'write'",
    ),
}


def upgrade() -> None:
    """Upgrade to this revision. Nothing is rewritten."""
    op.execute(
        lock_tables(
            *("conversations", "messages", "memberships", "changes", "conversation_agents"),
            *("membership_agents", "message_terms"),
        )
    )
    op.execute(COLUMNS)
    op.execute(KNOWN)
    op.execute(f"GRANT UPDATE ({LAST}) ON conversations TO agent_api_member")
    for role in ("agent_api_worker", "agent_api_member"):
        op.execute(f"GRANT UPDATE ({PLACES}) ON messages TO {role}")
    for policy, rows in POLICIES.items():
        op.execute(f"CREATE POLICY {policy} USING ({rows})")
    for policy, (rows, purposes) in POSTING.items():
        op.execute(f"ALTER POLICY {policy} ({rows} AND {_PURPOSE} IN ({purposes}, 'branch'))")


def downgrade() -> None:
    """Return to 0013. Messages that are not on an active path are lost."""
    for policy, (rows, purposes) in POSTING.items():
        op.execute(f"ALTER POLICY {policy} ({rows} AND {_PURPOSE} IN ({purposes}))")
    for policy in POLICIES:
        op.execute(f"DROP POLICY {policy.partition(' FOR ')[0]}")
    # Foreign keys delete their versions only.
    op.execute(
        "DELETE FROM message_terms t USING messages m WHERE t.message_id = m.id"
        " AND t.user_id = m.user_id AND t.conversation_id = m.conversation_id AND NOT m.active"
    )
    op.execute(
        "DELETE FROM chat_attachments a USING messages m WHERE a.message_id = m.id"
        " AND a.user_id = m.user_id AND a.conversation_id = m.conversation_id AND NOT m.active"
    )
    op.execute("DELETE FROM messages WHERE NOT active")
    for column in PLACES.split(", "):
        op.drop_column("messages", column)
    for column in LAST.split(", "):
        op.drop_column("conversations", column)
