"""Add the feedback of users to messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from db.schema.table_locks import lock_tables

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_USER = "current_setting('agent_api.acting_user', true)"
_CONVERSATION = "nullif(current_setting('agent_api.conversation', true), '')::uuid"
_PURPOSE = "current_setting('agent_api.purpose', true)"
# Rights to columns belong to a role, so this purpose also admits the columns that editors change.
MEMBER_ROWS = f"user_id = {_USER} AND conversation_id = {_CONVERSATION} AND {_PURPOSE} = 'rate'"


def upgrade() -> None:
    """Upgrade to this revision. Nothing is rewritten."""
    op.execute(lock_tables("messages"))
    # No CHECK constraint: PostgreSQL would read the whole table to verify it.
    op.add_column("messages", sa.Column("feedback", JSONB(none_as_null=True)))
    op.execute("GRANT UPDATE (feedback) ON messages TO agent_api_member")
    op.execute(
        "CREATE POLICY member_rate ON messages FOR UPDATE TO agent_api_member"
        f" USING ({MEMBER_ROWS})"
    )


def downgrade() -> None:
    """Return to 0014. All feedback is lost."""
    op.execute("DROP POLICY member_rate ON messages")
    op.execute("REVOKE UPDATE (feedback) ON messages FROM agent_api_member")
    op.drop_column("messages", "feedback")
