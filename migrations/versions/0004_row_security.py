"""Restrict every table to the rows of the acting user."""

import sqlalchemy as sa
from alembic import op

from db.schema.role_creation import create_roles
from db.schema.table_locks import lock_tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OWNERS = {
    "chat_settings": "user_id",
    "conversations": "user_id",
    "idempotency_keys": "user_id",
    "messages": "user_id",
    "runs": "created_by",
}
"""The column of each table that contains the row's owner."""
EXISTENCE = {
    "conversations": "id, user_id",
    "messages": "id, user_id",
    "runs": "id, created_by",
}
"""The columns readable for all rows, to tell missing rows from other users' rows."""

# The trigger looks up the owner for every insert, including those of older servers. A role that
# cannot see the conversation finds no owner and cannot add a message. The function names its schema
# because a restore runs without a search path.
OWNER_OF_MESSAGE = """
DO $do$ BEGIN EXECUTE format($text$
  CREATE FUNCTION own_message() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    SELECT user_id INTO NEW.user_id FROM %I.conversations WHERE id = NEW.conversation_id;
    RETURN NEW;
  END $$
$text$, current_schema()); END $do$
"""
# Each new key deletes some expired keys of all users. A request cannot see other users' keys, so
# the function runs with the rights of the table's owner.
CLEARING = """
DO $do$ BEGIN EXECUTE format($text$
  CREATE FUNCTION clear_idempotency_keys() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  BEGIN
    -- More than one, so that they become fewer.
    DELETE FROM %1$I.idempotency_keys AS k USING (
      SELECT user_id, key FROM %1$I.idempotency_keys WHERE expires_at <= now()
      ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED
    ) AS expired
    WHERE k.user_id = expired.user_id AND k.key = expired.key;
    RETURN NULL;
  END $$
$text$, current_schema()); END $do$
"""

STATUSES = ("pending", "running", "succeeded", "failed", "timeout", "cancelled")


def upgrade() -> None:
    """Upgrade to this revision; requests wait while all messages are rewritten."""
    op.execute(
        lock_tables(
            *("conversations", "runs", "messages", "chat_settings"),
            *("idempotency_keys", "rate_limits"),
        )
    )
    op.execute(create_roles())
    op.add_column("messages", sa.Column("user_id", sa.String(length=255)))
    # An UPDATE would double the table's size and write to each index for each row.
    op.execute(
        "CREATE FUNCTION owner_of(uuid) RETURNS varchar LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN (SELECT user_id FROM conversations WHERE id = $1); END $$"
    )
    op.execute(
        "ALTER TABLE messages ALTER user_id TYPE varchar(255) USING owner_of(conversation_id),"
        " ALTER user_id SET NOT NULL"
    )
    op.execute("DROP FUNCTION owner_of")
    op.execute(OWNER_OF_MESSAGE)
    op.execute(
        "CREATE TRIGGER own_message BEFORE INSERT OR UPDATE OF conversation_id, user_id ON messages"
        " FOR EACH ROW EXECUTE FUNCTION own_message()"
    )
    op.execute(CLEARING)
    op.execute(
        "CREATE TRIGGER clear_idempotency_keys AFTER INSERT ON idempotency_keys"
        " FOR EACH STATEMENT EXECUTE FUNCTION clear_idempotency_keys()"
    )
    # Row-level security prevents an index search by an enum, but not the use of a partial index.
    for status in STATUSES:
        op.create_index(
            f"idx_runs_status_{status}",
            "runs",
            ["created_by", "created_at", "id"],
            postgresql_where=sa.text(f"status = '{status}'"),
        )
    op.drop_index("idx_runs_status", "runs")
    for table, owner in OWNERS.items():
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO agent_api_request")
        op.execute(
            f"CREATE POLICY request ON {table} TO agent_api_request"
            f" USING ({owner} = current_setting('agent_api.acting_user', true))"
        )
        # Not FORCE: migrations, dumps and foreign keys run as the tables' owner and need all rows.
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    # No policy: the rows contain no user data, and the sweep has no acting user.
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limits TO agent_api_request")
    for table, columns in EXISTENCE.items():
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO agent_api_existence")
        op.execute(
            f"CREATE POLICY existence ON {table} FOR SELECT TO agent_api_existence USING (true)"
        )


def downgrade() -> None:
    """Return to 0003; the roles stay because other databases may use them."""
    for table in EXISTENCE:
        op.execute(f"DROP POLICY existence ON {table}")
    op.execute("REVOKE ALL ON rate_limits FROM agent_api_request")
    for table in OWNERS:
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY request ON {table}")
        op.execute(f"REVOKE ALL ON {table} FROM agent_api_request, agent_api_existence")
    op.create_index("idx_runs_status", "runs", ["created_by", "status", "created_at", "id"])
    for status in STATUSES:
        op.drop_index(f"idx_runs_status_{status}", "runs")
    op.execute("DROP TRIGGER clear_idempotency_keys ON idempotency_keys")
    op.execute("DROP FUNCTION clear_idempotency_keys")
    op.execute("DROP TRIGGER own_message ON messages")
    op.execute("DROP FUNCTION own_message")
    op.drop_column("messages", "user_id")
