"""Add the queue of runs, leases, and the role of workers."""

import sqlalchemy as sa
from alembic import op

from db.schema.role_creation import create_roles
from db.schema.table_locks import lock_tables

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_USER = "current_setting('agent_api.acting_user', true)"
_RUN = "nullif(current_setting('agent_api.run', true), '')::uuid"
_CONVERSATION = "nullif(current_setting('agent_api.conversation', true), '')::uuid"

WORKER_RIGHTS = {
    "conversations": "SELECT, UPDATE",
    "messages": "SELECT, INSERT",
    "runs": "SELECT, UPDATE",
    "run_events": "SELECT, INSERT",
    "run_leases": "SELECT, INSERT, UPDATE, DELETE",
    "run_queue": "SELECT, INSERT, UPDATE, DELETE",
    "idempotency_keys": "SELECT, INSERT, UPDATE",
}
# The rows that a worker may see and write under a lease. It also sees the other runs of the
# conversation, because the end of its run lets the next one continue.
WORKER_ROWS = {
    "conversations": f"user_id = {_USER} AND id = {_CONVERSATION}",
    "messages": f"user_id = {_USER} AND conversation_id = {_CONVERSATION}",
    "runs": f"created_by = {_USER} AND (id = {_RUN} OR conversation_id = {_CONVERSATION})",
    "run_events": f"user_id = {_USER} AND run_id = {_RUN}",
    "run_leases": f"user_id = {_USER} AND run_id = {_RUN}",
    # The owner's stored responses stay hidden: its keys cannot contain spaces (leasing.py).
    "idempotency_keys": f"user_id = {_USER}"
    " AND starts_with(key, 'lease ' || current_setting('agent_api.run', true) || ' ')"
    f" AND (conversation_id IS NULL OR conversation_id = {_CONVERSATION})",
}
# A claim looks for runs of any user and locks the oldest, which needs a policy for UPDATE. The
# queue contains no content. Only the run that was claimed can be removed.
WORKER_QUEUE = {
    "worker": "FOR SELECT TO agent_api_worker USING (true)",
    "worker_lock": "FOR UPDATE TO agent_api_worker USING (true) WITH CHECK (false)",
    "worker_add": f"FOR INSERT TO agent_api_worker WITH CHECK (user_id = {_USER})",
    "worker_remove": "FOR DELETE TO agent_api_worker"
    f" USING (user_id = {_USER} AND run_id = {_RUN})",
}


def upgrade() -> None:
    """Upgrade to this revision. Nothing is rewritten.

    Runs that are pending now stay out of the queue: nobody created them for workers that claim.
    """
    op.execute(lock_tables("conversations", "runs", "messages", "idempotency_keys", "run_events"))
    op.execute(create_roles())
    op.add_column("runs", sa.Column("cancel_requested_at", sa.DateTime(timezone=True)))
    op.add_column(
        "runs", sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "runs", sa.Column("waits", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_index(
        "idx_runs_active",
        "runs",
        ["conversation_id", "created_at", "id"],
        postgresql_where=sa.text(
            "conversation_id IS NOT NULL AND status IN ('pending', 'running')"
        ),
    )
    op.create_index(
        "idx_runs_waits", "runs", ["created_by", "id"], postgresql_where=sa.text("waits")
    )
    op.create_table(
        "run_queue",
        sa.Column("agent_id", sa.String(length=255), nullable=False),
        sa.Column("run_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "run_id", "user_id", name="pk_run_queue"),
    )
    op.create_index("idx_run_queue_agent_id", "run_queue", ["agent_id", "created_at", "run_id"])
    op.create_table(
        "run_leases",
        sa.Column("run_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("worker", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_run_leases_hash")),
        sa.PrimaryKeyConstraint("run_id", "user_id", name="pk_run_leases"),
        sa.ForeignKeyConstraint(
            ["run_id", "user_id"],
            ["runs.id", "runs.created_by"],
            name="fk_run_leases_run_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("idx_run_leases_expires_at", "run_leases", ["expires_at"])
    for table in ("run_queue", "run_leases"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO agent_api_request")
        op.execute(
            f"CREATE POLICY request ON {table} TO agent_api_request USING (user_id = {_USER})"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    for table, rights in WORKER_RIGHTS.items():
        op.execute(f"GRANT {rights} ON {table} TO agent_api_worker")
    for table, rows in WORKER_ROWS.items():
        # No policy is RESTRICTIVE: Citus would create it on the nodes as one that gives rights.
        command = "FOR SELECT " if table in ("runs", "messages") else ""
        op.execute(f"CREATE POLICY worker ON {table} {command}TO agent_api_worker USING ({rows})")
    # Of the conversation's other runs, it can change only those that wait.
    rows = WORKER_ROWS["runs"]
    op.execute(
        "CREATE POLICY worker_run ON runs FOR UPDATE TO agent_api_worker"
        f" USING ({rows} AND (id = {_RUN} OR waits)) WITH CHECK ({rows})"
    )
    # A message can only name the run of the lease.
    rows = WORKER_ROWS["messages"]
    op.execute(
        "CREATE POLICY worker_run ON messages FOR INSERT TO agent_api_worker"
        f" WITH CHECK ({rows} AND (run_id IS NULL OR run_id = {_RUN}))"
    )
    for name, policy in WORKER_QUEUE.items():
        op.execute(f"CREATE POLICY {name} ON run_queue {policy}")
    # For the sweep that looks for runs that wait in vain.
    op.execute("GRANT SELECT (conversation_id, created_at, waits) ON runs TO agent_api_existence")
    op.execute("GRANT SELECT (agent_id) ON run_queue TO agent_api_existence")
    op.execute(
        "CREATE POLICY existence ON run_queue FOR SELECT TO agent_api_existence USING (true)"
    )
    op.execute("GRANT SELECT (run_id, user_id, expires_at) ON run_leases TO agent_api_existence")
    op.execute(
        "CREATE POLICY existence ON run_leases FOR SELECT TO agent_api_existence USING (true)"
    )


def downgrade() -> None:
    """Return to 0006. The queue and all leases are lost; the role stays."""
    op.execute("REVOKE SELECT (conversation_id, created_at) ON runs FROM agent_api_existence")
    op.execute("DROP POLICY worker_run ON messages")
    op.execute("DROP POLICY worker_run ON runs")
    for table in WORKER_ROWS:
        op.execute(f"DROP POLICY worker ON {table}")
    for table in WORKER_RIGHTS:
        op.execute(f"REVOKE ALL ON {table} FROM agent_api_worker")
    op.drop_table("run_leases")
    op.drop_table("run_queue")
    op.drop_index("idx_runs_waits", "runs")
    op.drop_index("idx_runs_active", "runs")
    op.drop_column("runs", "waits")
    op.drop_column("runs", "attempts")
    op.drop_column("runs", "cancel_requested_at")
