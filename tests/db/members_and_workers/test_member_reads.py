"""Tests of what a member sees: one conversation of its owner, and nothing of other users."""

import psycopg2
import pytest
import sqlalchemy as sa

from agent_api.middleware import membership
from db import idempotency_keys, models
from db.engine import Connection, acting_under
from db.engine.statement import Statement
from db.models import Base
from tests.db.members_and_workers.owners import SEEN_BY_MEMBERS, Owner
from tests.db.members_and_workers.stored_responses import keys_seen, store_responses
from tests.db.rows import answer
from tests.db.seeing import seen

# test_search_roles.py tests the terms of messages.
OTHERS = sorted(
    Base.metadata.tables.keys() - {*SEEN_BY_MEMBERS, "changes", "idempotency_keys", "message_terms"}
)


def test_member_sees_the_conversation_only(
    connection: Connection, alice: Owner, granted: dict[str, str]
) -> None:
    found = {
        name: seen(connection, Base.metadata.tables[name], **granted) for name in SEEN_BY_MEMBERS
    }

    assert found == {
        "conversations": {alice.conversation},
        "messages": {alice.message},
        "message_versions": {alice.message},
        "runs": {alice.run, alice.later_run},
        "run_events": {alice.run},
        "shares": {alice.member, alice.other_member},
        "memberships": set(),  # the owner is a member of nothing
        "membership_tags": set(),
        "chat_attachments": set(),  # members see what messages show
    }
    as_member = {"acting_user": alice.member}
    assert seen(connection, models.memberships, **as_member) == {alice.member}
    assert seen(connection, models.membership_tags, **as_member) == {alice.conversation}


@pytest.mark.parametrize("name", SEEN_BY_MEMBERS)
@pytest.mark.parametrize("acting_user", ["bob", ""])
def test_member_sees_nothing_of_another_user(
    connection: Connection, bob: Owner, granted: dict[str, str], name: str, acting_user: str
) -> None:
    user = bob.user if acting_user else ""
    mine = {bob.conversation, bob.message, bob.run, bob.member, bob.attachment}

    assert not seen(connection, Base.metadata.tables[name], acting_user=user) & mine


def test_grant_for_a_list_shows_conversations_of_the_owner_and_nothing_in_them(
    connection: Connection, alice: Owner, bob: Owner
) -> None:
    both = [alice.conversation, alice.other_conversation]
    ids = ",".join([*both, bob.conversation])
    grant = alice.grant()._replace(conversation_id=ids, run_id=None)

    with acting_under(grant):
        assert seen(connection, models.conversations, acting_user=alice.user) == set(both)
        with pytest.raises(psycopg2.DataError):
            seen(connection, models.messages, acting_user=alice.user)


@pytest.mark.parametrize("name", OTHERS)
def test_member_cannot_read_other_tables(
    connection: Connection, granted: dict[str, str], name: str
) -> None:
    table = Base.metadata.tables[name]
    column = next(iter(table.c))

    with pytest.raises(psycopg2.ProgrammingError, match="permission denied"):
        Statement(sa.select(column)).rows(connection, granted)


def test_member_cannot_read_what_a_run_works_with(
    connection: Connection, granted: dict[str, str]
) -> None:
    denied = []
    for column in models.runs.c:
        try:
            Statement(sa.select(column)).rows(connection, granted)
        except psycopg2.ProgrammingError:
            denied.append(column.name)

    assert denied == ["input", "output", "error", "size", "has_transient", "waits"]


def test_member_sees_only_their_stored_responses(connection: Connection, alice: Owner) -> None:
    grants = [
        alice.grant(),
        alice.grant()._replace(member_id=alice.other_member),
        alice.grant()._replace(conversation_id=alice.other_conversation),
    ]
    keys = [membership.key_of(grant, "k") for grant in grants]
    of_members = dict(zip(keys, (grant.conversation_id for grant in grants), strict=True))
    of_owner = {"owner": alice.conversation, "owner-2": None}
    store_responses(connection, alice.user, of_members | of_owner)

    assert len(of_members) == len(grants)
    for grant, key in zip(grants, keys, strict=True):
        with acting_under(grant):
            assert keys_seen(connection, alice.user) == [key]
            new = answer(alice.user, id=grant.conversation_id)
            idempotency_keys.insert(connection, **new | {"key": key})
            with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
                idempotency_keys.insert(connection, **new | {"key": "owner-3"})
