"""Create the change log: changes and change_positions."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

EXISTENCE = {
    "changes": "id, user_id, sequence",
    "change_positions": "user_id, last_sequence",
}
"""The columns readable for all rows, to find new and expired changes."""


def upgrade() -> None:
    """Upgrade to this revision."""
    op.create_table(
        "changes",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("sequence", sa.BigInteger()),
        sa.Column("type", sa.String(length=50), nullable=False),
        sa.Column("conversation_id", sa.Uuid()),
        sa.Column("resource_id", sa.Uuid()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_changes_user_id")
        ),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_changes_sequence")),
        sa.PrimaryKeyConstraint("id", "user_id", name="pk_changes"),
    )
    op.create_index(
        "idx_changes_unnumbered",
        "changes",
        ["user_id"],
        postgresql_where=sa.text("sequence IS NULL"),
    )
    op.create_index(
        "idx_changes_sequence",
        "changes",
        ["user_id", "sequence"],
        unique=True,
        postgresql_where=sa.text("sequence IS NOT NULL"),
    )
    op.create_table(
        "change_positions",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_change_positions_user_id")
        ),
        sa.CheckConstraint("last_sequence >= 0", name=op.f("ck_change_positions_last_sequence")),
        sa.PrimaryKeyConstraint("user_id", name="pk_change_positions"),
        postgresql_with={"fillfactor": 70},
    )
    for table, columns in EXISTENCE.items():
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO agent_api_request")
        op.execute(
            f"CREATE POLICY request ON {table} TO agent_api_request"
            " USING (user_id = current_setting('agent_api.acting_user', true))"
        )
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO agent_api_existence")
        op.execute(
            f"CREATE POLICY existence ON {table} FOR SELECT TO agent_api_existence USING (true)"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    # Workers record what they change, but do not read the log.
    op.execute("GRANT INSERT ON changes TO agent_api_worker")
    op.execute(
        "CREATE POLICY worker ON changes FOR INSERT TO agent_api_worker"
        " WITH CHECK (user_id = current_setting('agent_api.acting_user', true))"
    )


def downgrade() -> None:
    """Return to 0007."""
    op.drop_table("change_positions")
    op.drop_table("changes")
