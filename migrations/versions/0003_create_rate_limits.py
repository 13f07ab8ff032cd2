"""Create rate_limits."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Upgrade to this revision."""
    op.create_table(
        "rate_limits",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "char_length(user_id) BETWEEN 1 AND 255", name=op.f("ck_rate_limits_user_id")
        ),
        sa.CheckConstraint("tokens >= 0", name=op.f("ck_rate_limits_tokens")),
        sa.PrimaryKeyConstraint("user_id", name="pk_rate_limits"),
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    """Return to 0002."""
    op.drop_table("rate_limits")
