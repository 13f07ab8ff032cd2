"""Let users archive, pin and tag conversations, and count what they have not read."""

import sqlalchemy as sa
from alembic import op

from db.schema.table_locks import lock_tables

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_USER = "current_setting('agent_api.acting_user', true)"
_CONVERSATION = "nullif(current_setting('agent_api.conversation', true), '')::uuid"

_MEMBER = "current_setting('agent_api.member', true)"

NAMES = {
    "conversation_tags": ("conversations", "tag", 50),
    "conversation_agents": ("conversations", "agent_id", 255),
    "membership_tags": ("memberships", "tag", 50),
    "membership_agents": ("memberships", "agent_id", 255),
}
"""The new tables: what they belong to, the column that has the name, and its length."""
ROW_IDS = {"conversations": "id", "memberships": "conversation_id"}
INDEXES = {
    "idx_conversations_created_at": ("conversations", "created_at"),
    "idx_conversations_user_id": ("conversations", "updated_at"),
    "idx_memberships_created_at": ("memberships", "created_at"),
    "idx_memberships_updated_at": ("memberships", "updated_at"),
}

# What exists counts as read.
COLUMNS = """
ALTER TABLE {table}
  ADD archived boolean DEFAULT false NOT NULL,
  ADD pinned boolean DEFAULT false NOT NULL,
  ADD tags varchar(50)[] DEFAULT '{{}}' NOT NULL,
  ADD read_position bigint DEFAULT 0 NOT NULL,
  ADD unread_count bigint DEFAULT 0 NOT NULL
"""
# What a member changes for itself acts as the member, also if the member only reads.
MEMBER_RIGHTS = {
    "memberships": "UPDATE (archived, pinned, tags, read_position, unread_count)",
    "membership_tags": "SELECT, INSERT, DELETE",
    "membership_agents": "INSERT",
    "conversation_agents": "INSERT",
}
_OF_MEMBER = f"user_id = {_USER} AND user_id = {_MEMBER} AND conversation_id = {_CONVERSATION}"
_OF_WRITER = (
    f"user_id = {_USER} AND conversation_id = {_CONVERSATION}"
    " AND current_setting('agent_api.purpose', true) = 'write'"
)
MEMBER_POLICIES = {
    "member_organise ON memberships FOR UPDATE": f"USING ({_OF_MEMBER})",
    "member_organise ON changes FOR INSERT": f"WITH CHECK ({_OF_MEMBER})",
    "member ON membership_tags FOR ALL": f"USING ({_OF_MEMBER})",
    "member ON membership_agents FOR INSERT": f"WITH CHECK ({_OF_WRITER})",
    "member ON conversation_agents FOR INSERT": f"WITH CHECK ({_OF_WRITER})",
}
# The agents that the messages' routing decisions have selected until now: texts, or objects with an
# id and a name, up to 1,000 in a list. The operators of json accept any number, while a cast to
# jsonb could fail.
AGENTS = """
INSERT INTO conversation_agents (conversation_id, user_id, agent_id)
SELECT DISTINCT m.conversation_id, m.user_id, name
FROM {messages} AS m
CROSS JOIN LATERAL (VALUES
  (m.routing_decision -> 'selected_agents'),
  (m.routing_decision -> 'routing_decision' -> 'selected_agents')) AS lists(list)
CROSS JOIN LATERAL json_array_elements(
  CASE json_typeof(list) WHEN 'array' THEN list ELSE '[]' END)
  WITH ORDINALITY AS agents(agent, number)
CROSS JOIN LATERAL (VALUES
  (agent), (CASE json_typeof(agent) WHEN 'object' THEN agent -> 'id' END),
  (CASE json_typeof(agent) WHEN 'object' THEN agent -> 'name' END)) AS texts(text)
CROSS JOIN LATERAL (VALUES
  (CASE json_typeof(text) WHEN 'string' THEN text #>> '{{}}' END)) AS names(name)
WHERE m.routing_decision IS NOT NULL AND char_length(name) BETWEEN 1 AND 255 AND number <= 1000
ON CONFLICT DO NOTHING
"""
# Messages of transactions that had not ended when the first statement started. A message changes
# updated_at of its conversation. now() is the start of the migration, and the servers' requests
# take much less than ten minutes.
NEWER_MESSAGES = """(
  SELECT newer.* FROM messages AS newer
  JOIN conversations AS c ON c.id = newer.conversation_id AND c.user_id = newer.user_id
  WHERE c.updated_at > now() - interval '10 minutes'
    AND newer.created_at > now() - interval '10 minutes')"""
DELETED_MEANWHILE = """
DELETE FROM conversation_agents WHERE (conversation_id, user_id) IN (
  SELECT conversation_id, user_id FROM conversation_agents
  EXCEPT SELECT id, user_id FROM conversations)
"""
AGENTS_FOR_MEMBERS = """
INSERT INTO membership_agents (conversation_id, user_id, agent_id)
SELECT m.conversation_id, m.user_id, a.agent_id
FROM memberships AS m
JOIN conversation_agents AS a ON a.conversation_id = m.conversation_id AND a.user_id = m.owner_id
"""


def upgrade() -> None:
    """Upgrade to this revision.

    All messages are read before the tables are locked, unless several revisions are pending. Then
    requests wait while the indexes of conversations are built. Older servers sort a user's
    conversations instead of reading them in order, and do not store the agents that routing
    decisions select.
    """
    _create_tables()
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute(AGENTS.format(messages="messages"))
    op.execute("SET LOCAL statement_timeout = '10min'")
    op.execute(lock_tables("conversations", "memberships", "changes"))
    op.execute(AGENTS.format(messages=NEWER_MESSAGES))
    op.execute(DELETED_MEANWHILE)
    op.execute(AGENTS_FOR_MEMBERS)
    for table in ROW_IDS:
        op.execute(COLUMNS.format(table=table))
    for name, (table, column) in INDEXES.items():
        op.drop_index(name, table)
        order = ["user_id", "archived", "pinned", column, ROW_IDS[table]]
        op.create_index(name, table, order)
    for table, (of, _, _) in NAMES.items():
        op.create_foreign_key(
            f"fk_{table}_conversation_id",
            table,
            of,
            ["conversation_id", "user_id"],
            [ROW_IDS[of], "user_id"],
            ondelete="CASCADE",
        )
    _let_workers_and_members_write()


def _create_tables() -> None:
    for table, (_, column, length) in NAMES.items():
        op.create_table(
            table,
            sa.Column("conversation_id", sa.Uuid(as_uuid=False), nullable=False),
            sa.Column("user_id", sa.String(length=255), nullable=False),
            sa.Column(column, sa.String(length=length), nullable=False),
            sa.PrimaryKeyConstraint("conversation_id", "user_id", column, name=f"pk_{table}"),
        )
        op.create_index(f"idx_{table}_{column}", table, ["user_id", column, "conversation_id"])
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO agent_api_request")
        op.execute(
            f"CREATE POLICY request ON {table} TO agent_api_request USING (user_id = {_USER})"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def _let_workers_and_members_write() -> None:
    # A worker's message can have a routing decision, and is unread.
    op.execute("GRANT UPDATE (read_position, unread_count) ON memberships TO agent_api_worker")
    for table in ("conversation_agents", "membership_agents"):
        op.execute(f"GRANT INSERT ON {table} TO agent_api_worker")
        op.execute(
            f"CREATE POLICY worker ON {table} FOR INSERT TO agent_api_worker"
            f" WITH CHECK (user_id = {_USER} AND conversation_id = {_CONVERSATION})"
        )
    op.execute("GRANT UPDATE (read_position, unread_count) ON conversations TO agent_api_member")
    for table, rights in MEMBER_RIGHTS.items():
        op.execute(f"GRANT {rights} ON {table} TO agent_api_member")
    for policy, rows in MEMBER_POLICIES.items():
        name, _, kind = policy.partition(" FOR ")
        op.execute(f"CREATE POLICY {name} FOR {kind} TO agent_api_member {rows}")


def downgrade() -> None:
    """Return to 0010."""
    for policy in ("member_organise ON memberships", "member_organise ON changes"):
        op.execute(f"DROP POLICY {policy}")
    for table in reversed(NAMES):
        op.drop_table(table)
    for name, (table, column) in INDEXES.items():
        op.drop_index(name, table)
        op.create_index(name, table, ["user_id", column, ROW_IDS[table]])
    for table in ROW_IDS:
        for column in ("unread_count", "read_position", "tags", "pinned", "archived"):
            op.drop_column(table, column)
