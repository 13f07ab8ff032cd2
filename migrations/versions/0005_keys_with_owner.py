"""Put the owner into every key, store JSON as text, and store the size of each row."""

from alembic import op

from db.schema.table_locks import lock_tables

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# The columns of JSON with the type of their value, and the columns that count for a row's size.
JSON = {
    "conversations": {"metadata": "object"},
    "messages": {
        "attachments": "array",
        "metadata": "object",
        "routing_decision": "object",
        "tool_calls": "array",
    },
    "runs": {"input": "object", "output": "object"},
    "idempotency_keys": {"headers": "object"},
}
SIZES = {
    "conversations": ("metadata",),
    "messages": ("content", "attachments", "metadata", "routing_decision", "tool_calls"),
    "runs": ("input", "output", "error"),
}

# Servers older than this revision insert messages without an owner. The condition costs others
# nothing.
OWNER_OF_MESSAGE = (
    "CREATE TRIGGER own_message BEFORE INSERT ON messages FOR EACH ROW"
    " WHEN (NEW.user_id IS NULL) EXECUTE FUNCTION own_message()"
)
# A request cannot see other users' keys, so this runs with the rights of the table's owner. A limit
# and no locks of rows: only one session at a time sweeps. PL/pgSQL, because Citus refuses the
# parameters of SQL functions.
SWEEP = """
DO $do$ BEGIN EXECUTE format($text$
  CREATE FUNCTION delete_expired_keys(most integer) RETURNS bigint LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DECLARE
    deleted bigint;
  BEGIN
    DELETE FROM %1$I.idempotency_keys AS k USING (
      SELECT user_id, key FROM %1$I.idempotency_keys WHERE expires_at <= now()
      ORDER BY expires_at LIMIT most
    ) AS old
    WHERE k.user_id = old.user_id AND k.key = old.key AND k.expires_at <= now();
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
  END $$
$text$, current_schema()); END $do$
"""
# The key's trigger as it was before this revision.
CLEARING = """
DO $do$ BEGIN EXECUTE format($text$
  CREATE FUNCTION clear_idempotency_keys() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  BEGIN
    DELETE FROM %1$I.idempotency_keys AS k USING (
      SELECT user_id, key FROM %1$I.idempotency_keys WHERE expires_at <= now()
      ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED
    ) AS expired
    WHERE k.user_id = expired.user_id AND k.key = expired.key;
    RETURN NULL;
  END $$
$text$, current_schema()); END $do$
"""


def upgrade() -> None:
    """Upgrade to this revision; requests wait while all tables are rewritten."""
    op.execute(
        lock_tables("conversations", "runs", "messages", "chat_settings", "idempotency_keys")
    )
    op.execute("DROP TRIGGER own_message ON messages")
    op.execute("DROP TRIGGER clear_idempotency_keys ON idempotency_keys")
    op.execute("DROP FUNCTION clear_idempotency_keys")
    _drop_foreign_keys()
    keys = {
        "conversations": "DROP CONSTRAINT pk_conversations,"
        " ADD CONSTRAINT pk_conversations PRIMARY KEY (id, user_id)",
        "messages": "DROP CONSTRAINT pk_messages,"
        " ADD CONSTRAINT pk_messages PRIMARY KEY (id, user_id)",
        "runs": "DROP CONSTRAINT pk_runs, ADD CONSTRAINT pk_runs PRIMARY KEY (id, created_by)",
    }
    # One ALTER TABLE for each table, so that it is rewritten once.
    for table in JSON:
        changes = _types(table, "json")
        if table in keys:
            changes.append(keys[table])
        if table in SIZES:
            parts = [f"coalesce(octet_length({column}::text), 0)" for column in SIZES[table]]
            changes.append(
                f"ADD COLUMN size integer GENERATED ALWAYS AS ({' + '.join(parts)}) STORED NOT NULL"
            )
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
    op.execute(
        "ALTER TABLE chat_settings DROP CONSTRAINT pk_chat_settings,"
        " DROP CONSTRAINT uq_chat_settings_user_id,"
        " ADD CONSTRAINT pk_chat_settings PRIMARY KEY (user_id)"
    )
    op.drop_index("idx_messages_conversation_id", "messages")
    op.create_index(
        "idx_messages_conversation_id",
        "messages",
        ["conversation_id", "position", "user_id"],
        unique=True,
    )
    _add_foreign_key("messages", "conversation_id", "conversations", "ON DELETE CASCADE")
    _add_foreign_key("messages", "run_id", "runs")
    _add_foreign_key("idempotency_keys", "conversation_id", "conversations", "ON DELETE CASCADE")
    _add_foreign_key(
        "runs", "conversation_id", "conversations", "ON DELETE SET NULL (conversation_id)"
    )
    op.execute(OWNER_OF_MESSAGE)
    op.execute(SWEEP)


def downgrade() -> None:
    """Return to 0004. Fails if a number is too large for jsonb."""
    op.execute(
        lock_tables("conversations", "runs", "messages", "chat_settings", "idempotency_keys")
    )
    op.execute("DROP FUNCTION delete_expired_keys")
    op.execute("DROP TRIGGER own_message ON messages")
    _drop_foreign_keys()
    keys = {
        table: f"DROP CONSTRAINT pk_{table}, ADD CONSTRAINT pk_{table} PRIMARY KEY (id)"
        for table in SIZES
    }
    for table in JSON:
        drop = ["DROP COLUMN size"] if table in SIZES else []
        changes = drop + _types(table, "jsonb") + ([keys[table]] if table in keys else [])
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
    op.execute(
        "ALTER TABLE chat_settings DROP CONSTRAINT pk_chat_settings,"
        " ADD CONSTRAINT pk_chat_settings PRIMARY KEY (id),"
        " ADD CONSTRAINT uq_chat_settings_user_id UNIQUE (user_id)"
    )
    op.drop_index("idx_messages_conversation_id", "messages")
    op.create_index(
        "idx_messages_conversation_id", "messages", ["conversation_id", "position"], unique=True
    )
    for table, column, target, on_delete in (
        ("messages", "conversation_id", "conversations", "CASCADE"),
        ("messages", "run_id", "runs", "SET NULL"),
        ("runs", "conversation_id", "conversations", "SET NULL"),
        ("idempotency_keys", "conversation_id", "conversations", "CASCADE"),
    ):
        op.create_foreign_key(
            f"fk_{table}_{column}", table, target, [column], ["id"], ondelete=on_delete
        )
    op.execute(
        "CREATE TRIGGER own_message BEFORE INSERT OR UPDATE OF conversation_id, user_id ON messages"
        " FOR EACH ROW EXECUTE FUNCTION own_message()"
    )
    op.execute(CLEARING)
    op.execute(
        "CREATE TRIGGER clear_idempotency_keys AFTER INSERT ON idempotency_keys"
        " FOR EACH STATEMENT EXECUTE FUNCTION clear_idempotency_keys()"
    )


def _drop_foreign_keys() -> None:
    for table, column in (
        ("messages", "conversation_id"),
        ("messages", "run_id"),
        ("runs", "conversation_id"),
        ("idempotency_keys", "conversation_id"),
    ):
        op.drop_constraint(f"fk_{table}_{column}", table)


def _add_foreign_key(table: str, column: str, target: str, on_delete: str = "") -> None:
    """Add a key of an id and its owner."""
    owner = {"runs": "created_by"}
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT fk_{table}_{column}"
        f" FOREIGN KEY ({column}, {owner.get(table, 'user_id')})"
        f" REFERENCES {target} (id, {owner.get(target, 'user_id')}) {on_delete}"
    )


def _types(table: str, kind: str) -> list[str]:
    """Return the changes that give the columns of JSON another type."""
    changes = []
    for column, value in JSON[table].items():
        name = f"ck_{table}_{column}"
        changes += [
            f"DROP CONSTRAINT {name}",
            f"ALTER {column} TYPE {kind} USING {column}::{kind}",
            f"ADD CONSTRAINT {name} CHECK ({kind}_typeof({column}) = '{value}')",
        ]
    return changes
