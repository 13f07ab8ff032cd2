"""Decides what happens to a new run of a conversation in which other runs are active."""

import sqlalchemy as sa

from db.engine import Connection
from db.engine.statement import Statement
from db.errors import ConversationBusy, Invalid, Reference
from db.execution import cancellation, turns
from db.execution.turns import ACTIVE_OF_CONVERSATION
from db.models import runs

_lock_active = Statement(
    sa.select(runs.c.id)
    .where(ACTIVE_OF_CONVERSATION)
    .order_by(runs.c.created_at, runs.c.id)
    .with_for_update(key_share=True)
)


def apply_policy(
    connection: Connection, *, if_busy: str, conversation_id: str | None, user_id: str, status: str
) -> bool:
    """Apply the policy `if_busy` to a new run, and return whether the run must wait.

    It locks the conversation, so that others create their runs one after another; it needs a
    transaction. Raises ConversationBusy, Reference, and Invalid for a policy that does not fit.
    """
    if if_busy in ("queue", "replace") and status == "running":
        raise Invalid("if_busy", f"{if_busy} needs a run that is pending")
    if if_busy == "allow" or conversation_id is None:
        return False
    if not turns.lock_conversation(connection, conversation_id=conversation_id, user_id=user_id):
        raise Reference("conversation_id")
    values = {"of_conversation": conversation_id, "acting_user": user_id}
    active = [run_id for (run_id,) in _lock_active.rows(connection, values)]
    if active and if_busy == "reject":
        raise ConversationBusy
    if if_busy == "replace":
        # The newest first, so that none of them continues because an earlier one has ended.
        for run_id in reversed(active):
            cancellation.cancel(connection, run_id=run_id, user_id=user_id)
        active = [run_id for (run_id,) in _lock_active.rows(connection, values)]
    return bool(active)
