"""Tests of what a worker sees: its run and the run's conversation."""

import pytest

from db.engine import Connection, acting_under
from db.models import Base
from tests.db.members_and_workers.owners import SEEN_BY_WORKERS, Owner
from tests.db.members_and_workers.stored_responses import keys_seen, store_responses
from tests.db.seeing import seen


def test_worker_sees_the_run_and_its_conversation_only(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    found = {
        name: seen(connection, Base.metadata.tables[name], **leased) for name in SEEN_BY_WORKERS
    }

    assert found == {
        "conversations": {alice.conversation},
        "messages": {alice.message},
        "runs": {alice.run, alice.later_run},
        "run_events": {alice.run},
        "run_leases": {alice.run},
    }


@pytest.mark.parametrize("name", SEEN_BY_WORKERS)
@pytest.mark.parametrize("acting_user", ["bob", ""])
def test_worker_sees_nothing_of_another_user(
    connection: Connection, bob: Owner, leased: dict[str, str], name: str, acting_user: str
) -> None:
    user = bob.user if acting_user else ""

    assert seen(connection, Base.metadata.tables[name], acting_user=user) == set()


def test_worker_cannot_see_stored_responses_of_other_conversations(
    connection: Connection, alice: Owner
) -> None:
    own, others = f"lease {alice.run} a", f"lease {alice.other_run} a"
    stored: dict[str, str | None] = {
        own: alice.conversation,
        f"{own}b": alice.other_conversation,
        others: None,
        "owner": None,
        "owner-2": alice.conversation,
    }
    store_responses(connection, alice.user, stored)

    with acting_under(alice.lease):
        assert keys_seen(connection, alice.user) == [own]
