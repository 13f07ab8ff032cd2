"""Tests that workers read the queue of runs, and remove only the entry of their run."""

import sqlalchemy as sa

from db.engine import Connection, Lease, acting_under, roles
from db.engine.statement import Statement
from db.models import run_queue
from tests.db.members_and_workers.owners import Owner
from tests.db.rows import insert_run, value
from tests.db.seeing import BY_POLICY, assert_refused, seen


def test_queue_can_be_read_by_workers_and_shows_users_their_rows_only(
    connection: Connection, alice: Owner, bob: Owner
) -> None:
    waiting = {owner.user: insert_run(connection, owner.user) for owner in (alice, bob)}
    everything = Statement(
        sa.select(sa.func.array_agg(sa.cast(run_queue.c.run_id, sa.Text))), role=roles.WORKER
    )

    assert set(waiting.values()) <= set(everything.scalar(connection, {}))
    assert seen(connection, run_queue, acting_user=alice.user) == {waiting[alice.user]}
    assert seen(connection, run_queue) == set()


def test_worker_cannot_queue_a_run_of_another_user(
    connection: Connection, bob: Owner, leased: dict[str, str]
) -> None:
    row = {
        "agent_id": "a",
        "run_id": bob.run,
        "user_id": bob.user,
        "created_at": "2026-01-01Z",
    }
    insert = Statement(sa.insert(run_queue), columns=row)

    assert_refused(connection, insert, row | leased, BY_POLICY)


def test_worker_can_remove_only_its_run_from_the_queue(
    connection: Connection, alice: Owner, bob: Owner
) -> None:
    queued = [insert_run(connection, owner.user) for owner in (alice, alice, bob)]
    own, *others = queued
    remove = Statement(sa.delete(run_queue).where(run_queue.c.run_id.in_(queued)))

    with acting_under(Lease(own, None)):
        removed = remove.rowcount(connection, {"acting_user": alice.user})
        again = remove.rowcount(connection, {"acting_user": bob.user})
    without = Statement(sa.delete(run_queue), role=roles.WORKER)

    assert (removed, again) == (1, 0)
    assert without.rowcount(connection, {"acting_user": bob.user}) == 0
    left = "SELECT array_agg(run_id::text) FROM run_queue WHERE run_id::text = ANY (%(it)s)"
    assert set(value(connection, left, {"it": queued})) == set(others)


def test_worker_locks_entries_of_the_queue_but_changes_none(
    connection: Connection, alice: Owner, bob: Owner
) -> None:
    run = insert_run(connection, bob.user, agent_id="a")
    # Distributed tables refuse a lock without the agent.
    this = sa.and_(run_queue.c.run_id == run, run_queue.c.agent_id == "a")
    lock = Statement(sa.select(run_queue.c.user_id).where(this).with_for_update(skip_locked=True))
    take = Statement(sa.update(run_queue).where(this).values(user_id="b"))

    for owner in (alice, bob):
        with acting_under(owner.lease):
            assert lock.scalar(connection, {"acting_user": owner.user}) == bob.user
            assert_refused(connection, take, {"acting_user": owner.user}, BY_POLICY)
