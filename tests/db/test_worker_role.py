"""Tests that PostgreSQL shows a worker only its run and the run's conversation.

Like queries that forget their conditions, these statements have none.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa

from db import errors, idempotency_keys, models
from db.engine import Connection, Lease, acting_under, roles
from db.engine.statement import Statement
from db.execution import expiry
from db.messages import messages
from db.models import Base, run_leases, run_queue
from tests.db.rows import answer, insert_conversation, insert_message, insert_run, message, value
from tests.db.seeing import seen

NOTHING = "00000000-0000-0000-0000-000000000000"
OF_A_LEASE = ("conversations", "messages", "runs", "run_events", "run_leases")


class Owner:
    """A user with a run of a conversation, another run in it, and rows that no lease opens."""

    def __init__(self, connection: Connection, user: str) -> None:
        self.user = user
        self.conversation = insert_conversation(connection, user)
        new: dict[str, Any] = {"conversation_id": self.conversation, "status": "running"}
        self.run = insert_run(connection, user, **new)
        self.message = insert_message(connection, self.conversation, user)
        self.later_run = insert_run(connection, user, **new)
        self.other_conversation = insert_conversation(connection, user)
        self.other_message = insert_message(connection, self.other_conversation, user)
        self.other_run = insert_run(connection, user, status="running")
        for run in (self.run, self.other_run):
            connection.execute(
                "INSERT INTO run_leases VALUES (%(run)s, %(user)s, %(hash)s, 'w', now())",
                {"run": run, "user": user, "hash": bytes(32)},
            ).close()

    @property
    def lease(self) -> Lease:
        return Lease(self.run, self.conversation)


@pytest.fixture
def alice(connection: Connection, user: str) -> Owner:
    return Owner(connection, user)


@pytest.fixture
def bob(connection: Connection) -> Owner:
    return Owner(connection, f"bob-{uuid.uuid4()}")


@pytest.fixture
def leased(alice: Owner, bob: Owner) -> Iterator[dict[str, str]]:
    """Act under the lease on Alice's run; return the acting user."""
    with acting_under(alice.lease):
        yield {"acting_user": alice.user}


def test_worker_sees_the_run_and_its_conversation_only(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    found = {name: seen(connection, Base.metadata.tables[name], **leased) for name in OF_A_LEASE}

    assert found == {
        "conversations": {alice.conversation},
        "messages": {alice.message},
        "runs": {alice.run, alice.later_run},
        "run_events": {alice.run},
        "run_leases": {alice.run},
    }


@pytest.mark.parametrize("name", OF_A_LEASE)
@pytest.mark.parametrize("acting_user", ["bob", ""])
def test_worker_sees_nothing_of_another_user(
    connection: Connection, bob: Owner, leased: dict[str, str], name: str, acting_user: str
) -> None:
    user = bob.user if acting_user else ""

    assert seen(connection, Base.metadata.tables[name], acting_user=user) == set()


@pytest.mark.parametrize("name", OF_A_LEASE)
def test_worker_without_a_lease_sees_nothing(
    connection: Connection, alice: Owner, name: str
) -> None:
    table = Base.metadata.tables[name]
    count = Statement(sa.select(sa.func.count()).select_from(table), role=roles.WORKER)

    assert count.scalar(connection, {"acting_user": alice.user}) == 0
    assert count.scalar(connection, {}) == 0


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("chat_settings", "SELECT"),
        ("rate_limits", "SELECT"),
        ("chat_attachments", "SELECT"),
        ("chat_attachments", "UPDATE"),
        ("conversations", "INSERT"),
        ("conversations", "DELETE"),
        ("messages", "UPDATE"),
        ("messages", "DELETE"),
        ("runs", "INSERT"),
        ("runs", "DELETE"),
        ("run_events", "UPDATE"),
        ("run_events", "DELETE"),
        ("idempotency_keys", "DELETE"),
    ],
)
def test_worker_lacks_rights(connection: Connection, table: str, statement: str) -> None:
    query = "SELECT has_table_privilege('agent_api_worker', %(table)s, %(right)s)"

    assert value(connection, query, {"table": table, "right": statement}) is False


def test_worker_cannot_change_other_rows(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    text = f"changed by {alice.user}"
    changed = {
        name: Statement(sa.update(Base.metadata.tables[name]).values({column: text})).rowcount(
            connection, leased
        )
        for name, column in (("conversations", "model"), ("runs", "error"))
    }

    assert changed == {"conversations": 1, "runs": 1}
    for query in (
        "SELECT id::text FROM conversations WHERE model = %(it)s",
        "SELECT id::text FROM runs WHERE error = %(it)s",
    ):
        assert value(connection, query, {"it": text}) in (alice.conversation, alice.run)


def test_worker_cannot_post_to_another_conversation(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    with pytest.raises(errors.Missing):
        messages.insert(connection, **message(alice.other_conversation, alice.user))
    row = {
        "id": models.new_id(),
        "conversation_id": alice.other_conversation,
        "user_id": alice.user,
        "position": 9,
        "role": "user",
        "content": "Hello",
    }
    anywhere = Statement(sa.insert(models.messages), columns=row)
    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        anywhere.rowcount(connection, row | leased)


def test_worker_cannot_name_another_run(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    for run in (alice.other_run, alice.later_run, NOTHING):
        with pytest.raises(errors.Reference):
            messages.insert(connection, **message(alice.conversation, alice.user, run_id=run))


def test_database_refuses_a_message_that_names_another_run(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    row = {
        "id": models.new_id(),
        "conversation_id": alice.conversation,
        "user_id": alice.user,
        "position": 9,
        "role": "user",
        "content": "Hello",
        "run_id": alice.later_run,
    }
    insert = Statement(sa.insert(models.messages), columns=row)

    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        insert.rowcount(connection, row | leased)
    assert insert.rowcount(connection, row | {"run_id": alice.run} | leased) == 1


def test_worker_cannot_add_attachments(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    with pytest.raises(errors.Invalid, match="attachment_ids cannot be sent with a lease"):
        messages.insert(
            connection, **message(alice.conversation, alice.user, attachment_ids=[NOTHING])
        )
    row = {
        "id": models.new_id(),
        "conversation_id": alice.conversation,
        "user_id": alice.user,
        "position": 9,
        "role": "user",
        "content": "Hello",
        "chat_attachments": [{"filename": "forged.pdf"}],
    }
    insert = Statement(sa.insert(models.messages), columns=row)
    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        insert.rowcount(connection, row | leased)


def test_worker_cannot_post_as_a_member(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    row = {
        "id": models.new_id(),
        "conversation_id": alice.conversation,
        "user_id": alice.user,
        "position": 9,
        "role": "user",
        "content": "Hello",
        "details": {"parts": [{"type": "text"}], "author": "m"},
    }
    insert = Statement(sa.insert(models.messages), columns=row)

    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        insert.rowcount(connection, row | leased)
    row["details"] = {"parts": [{"type": "text"}]}
    assert insert.rowcount(connection, row | leased) == 1


def test_worker_cannot_see_stored_responses_of_other_conversations(
    connection: Connection, alice: Owner
) -> None:
    own, others = f"lease {alice.run} a", f"lease {alice.other_run} a"
    stored: list[tuple[str, str | None]] = [
        (own, alice.conversation),
        (f"{own}b", alice.other_conversation),
    ]
    stored += [(others, None), ("owner", None), ("owner-2", alice.conversation)]
    for key, conversation in stored:
        idempotency_keys.insert(connection, **answer(alice.user, id=conversation) | {"key": key})
    keys = Statement(sa.text("SELECT array_agg(key::text) FROM idempotency_keys"))

    with acting_under(alice.lease):
        assert keys.scalar(connection, {"acting_user": alice.user}) == [own]


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

    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        insert.rowcount(connection, row | leased)


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
            with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
                take.rowcount(connection, {"acting_user": owner.user})


def test_existence_role_reads_no_secrets_of_leases(connection: Connection, alice: Owner) -> None:
    expired = Statement(
        sa.select(sa.func.count()).where(run_leases.c.user_id == alice.user),
        role=roles.EXISTENCE,
    )
    hashes = Statement(sa.select(run_leases.c.hash), role=roles.EXISTENCE)

    assert expired.scalar(connection, {}) == 2
    with pytest.raises(psycopg2.ProgrammingError, match="permission denied"):
        hashes.rows(connection, {})


def test_lease_that_a_1_0_server_left_on_an_ended_run_is_removed(
    connection: Connection, alice: Owner
) -> None:
    connection.execute(
        "UPDATE runs SET status = 'succeeded', finished_at = now() WHERE id = %(run)s;"
        "UPDATE run_leases SET expires_at = now() - interval '1 min' WHERE run_id = %(run)s",
        {"run": alice.run},
    ).close()

    expiry.expire(connection, run_id=alice.run, user_id=alice.user)

    status = "SELECT status FROM runs WHERE id = %(run)s"
    assert value(connection, status, {"run": alice.run}) == "succeeded"
    left = "SELECT count(*) FROM run_leases WHERE run_id = %(run)s"
    assert value(connection, left, {"run": alice.run}) == 0
