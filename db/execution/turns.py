"""Lets the runs of a conversation continue one after another.

A transaction that locks several runs of a conversation locks the conversation first. Otherwise two
of them could deadlock.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from db import access
from db.engine import Connection
from db.engine.statement import Statement
from db.execution import run_leases, run_queue
from db.models import Id, conversations, runs

_run = sa.bindparam("of_run", type_=Id)
_this = runs.c.id == _run
_select_conversation = Statement(sa.select(runs.c.conversation_id).where(_this, access.RUN))
_lock_conversation = Statement(
    sa.select(conversations.c.id)
    .where(conversations.c.id == sa.bindparam("of_conversation", type_=Id), access.CONVERSATION)
    .with_for_update(key_share=True)
)
_is_active = sa.text("status IN ('pending', 'running')")
ACTIVE_OF_CONVERSATION = sa.and_(
    runs.c.conversation_id == sa.bindparam("of_conversation", type_=Id), access.RUN, _is_active
)
_select_first_active = Statement(
    sa.select(runs.c.id, runs.c.waits)
    .where(ACTIVE_OF_CONVERSATION)
    .order_by(runs.c.created_at, runs.c.id)
    .limit(1)
)
_continue = Statement(
    sa.update(runs)
    .where(runs.c.id == _run, access.RUN, runs.c.waits, _is_active)
    .values(waits=False)
    .returning(runs.c.agent_id, runs.c.created_at)
)
_continue_unlinked = Statement(
    sa.update(runs)
    .where(runs.c.waits, runs.c.conversation_id.is_(None), access.RUN)
    .values(waits=False)
    .returning(runs.c.id, runs.c.agent_id, runs.c.created_at)
)


def lock_conversation(connection: Connection, *, conversation_id: str, user_id: str) -> bool:
    """Lock a conversation until the transaction ends; return False if the user has none."""
    values = {"of_conversation": conversation_id, "acting_user": user_id}
    return _lock_conversation.row(connection, values) is not None


def select_conversation_of(connection: Connection, *, run_id: str, user_id: str) -> str | None:
    """Return the conversation of a run, or None if it has none."""
    values = {"of_run": run_id, "acting_user": user_id}
    conversation_id: str | None = _select_conversation.scalar(connection, values)
    return conversation_id


def lock_conversation_of(connection: Connection, *, run_id: str, user_id: str) -> None:
    """Lock the conversation of a run until the transaction ends, if it has one."""
    conversation_id = select_conversation_of(connection, run_id=run_id, user_id=user_id)
    if conversation_id is not None:
        lock_conversation(connection, conversation_id=conversation_id, user_id=user_id)


def settle(connection: Connection, run: Sequence[str], *, user_id: str, has_ended: bool) -> None:
    """Remove a run that is not pending any more, and after its end let the next one continue.

    `run` is its id, agent, conversation and status. The conversation is locked.
    """
    run_id, agent_id, conversation_id, _ = run
    run_queue.delete(connection, agent_id=agent_id, run_id=run_id, user_id=user_id)
    if has_ended:
        run_leases.delete(connection, run_id=run_id, user_id=user_id)
        if conversation_id is not None:
            continue_conversation(connection, conversation_id=conversation_id, user_id=user_id)


def continue_conversation(connection: Connection, *, conversation_id: str, user_id: str) -> None:
    """Let the oldest run of a conversation enter the queue if it waited for earlier ones.

    The caller has locked the conversation.
    """
    values = {"acting_user": user_id, "of_conversation": conversation_id}
    first = _select_first_active.row(connection, values)
    if first is None or not first[1]:
        return
    row = _continue.row(connection, {"acting_user": user_id, "of_run": first[0]})
    if row is not None:
        agent_id, created_at = row
        run_queue.insert(
            connection,
            agent_id=agent_id,
            run_id=first[0],
            user_id=user_id,
            created_at=created_at,
        )


def continue_unlinked(connection: Connection, *, user_id: str) -> None:
    """Let the runs that waited in a conversation that was deleted enter the queue."""
    for run_id, agent_id, created_at in _continue_unlinked.rows(
        connection, {"acting_user": user_id}
    ):
        run_queue.insert(
            connection, agent_id=agent_id, run_id=run_id, user_id=user_id, created_at=created_at
        )
