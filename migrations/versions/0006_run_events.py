"""Add the events of runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from db.schema.table_locks import lock_tables

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Each append updates `last_sequence` of the run, which no index contains. With space for the new
# version on the same page, PostgreSQL adds no index entries.
FILLFACTOR = 80


def upgrade() -> None:
    """Upgrade to this revision. Nothing is rewritten."""
    op.execute(lock_tables("runs"))
    op.add_column(
        "runs",
        sa.Column("last_sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "runs",
        sa.Column("has_transient", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.execute(f"ALTER TABLE runs SET (fillfactor = {FILLFACTOR})")
    op.create_index(
        "idx_runs_transient", "runs", ["finished_at"], postgresql_where=sa.text("has_transient")
    )
    op.create_table(
        "run_events",
        sa.Column("run_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("data", JSON(none_as_null=True), nullable=False),
        sa.Column("transient", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column(
            "size",
            sa.Integer(),
            sa.Computed("coalesce(octet_length(data::text), 0)", persisted=True),
            nullable=False,
        ),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_run_events_sequence")),
        sa.CheckConstraint("char_length(type) BETWEEN 1 AND 100", name=op.f("ck_run_events_type")),
        sa.CheckConstraint("json_typeof(data) = 'object'", name=op.f("ck_run_events_data")),
        sa.PrimaryKeyConstraint("run_id", "user_id", "sequence", name="pk_run_events"),
        sa.ForeignKeyConstraint(
            ["run_id", "user_id"],
            ["runs.id", "runs.created_by"],
            name="fk_run_events_run_id",
            ondelete="CASCADE",
        ),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON run_events TO agent_api_request")
    op.execute(
        "CREATE POLICY request ON run_events TO agent_api_request"
        " USING (user_id = current_setting('agent_api.acting_user', true))"
    )
    op.execute("ALTER TABLE run_events ENABLE ROW LEVEL SECURITY")
    # For polls and sweeps, which see the runs of all users.
    op.execute(
        "GRANT SELECT (last_sequence, status, has_transient, finished_at)"
        " ON runs TO agent_api_existence"
    )


def downgrade() -> None:
    """Return to 0005. All events are lost."""
    op.execute(
        "REVOKE SELECT (last_sequence, status, has_transient, finished_at)"
        " ON runs FROM agent_api_existence"
    )
    op.drop_table("run_events")
    op.drop_index("idx_runs_transient", "runs")
    op.execute("ALTER TABLE runs RESET (fillfactor)")
    op.drop_column("runs", "has_transient")
    op.drop_column("runs", "last_sequence")
