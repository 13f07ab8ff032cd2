"""Tests that each query is one round trip, and raises the right error if it finds no row."""

import json
import uuid
from collections.abc import Callable
from functools import partial

import pytest

from db import access, chat_settings, engine, errors, idempotency_keys, runs
from db.attachments import chat_attachments
from db.branches import activation, deletion, forks
from db.change_log import change_positions
from db.conversations import conversation_deletion, conversation_lists, conversations
from db.engine import Connection, acting_under
from db.execution import run_events
from db.messages import message_edits, message_versions, messages
from db.organising import bulk, reading
from db.search import query, search
from tests.db.rows import (
    answer,
    insert_attachment,
    insert_conversation,
    insert_message,
    insert_run,
    message,
    row,
    share,
    traced,
    value,
)

NOBODY = str(uuid.UUID(int=0))


def _change_in_bulk(
    connection: Connection, user: str, conversation_id: str, _run: str, action: str
) -> object:
    ids = [conversation_id]
    return bulk.update(connection, user_id=user, action=action, given_tags=["a"], ids=ids)


QUERIES: dict[str, Callable[[Connection, str, str, str], object]] = {
    "list_conversations": lambda c, u, t, r: conversation_lists.select_page(c, user_id=u, limit=2),
    "conversation": lambda c, u, t, r: conversations.select_one(c, conversation_id=t, user_id=u),
    "conversation_with_messages": lambda c, u, t, r: conversations.select_with_messages(
        c, conversation_id=t, user_id=u, limit=9
    ),
    "new_conversation": lambda c, u, t, r: insert_conversation(c, u),
    "changed_conversation": lambda c, u, t, r: conversations.update(
        c, conversation_id=t, user_id=u, changes={"title": "T", "model": None}
    ),
    "unchanged_conversation": lambda c, u, t, r: conversations.update(
        c, conversation_id=t, user_id=u, changes={}
    ),
    "tagged_conversation": lambda c, u, t, r: conversations.update(
        c, conversation_id=t, user_id=u, changes={"tags": ["a", "b"]}
    ),
    "read_conversation": lambda c, u, t, r: reading.update(c, conversation_id=t, user_id=u),
    "read_message": lambda c, u, t, r: reading.update(
        c, conversation_id=t, user_id=u, message_id=insert_message(c, t, u)
    ),
    "new_message_of_an_agent": lambda c, u, t, r: messages.insert(
        c, **message(t, u, routing_decision={"selected_agents": ["a", "b"]})
    ),
    **{
        f"bulk_{action}": partial(_change_in_bulk, action=action)
        for action in ("archive", "unarchive", "pin", "unpin", "add_tags", "remove_tags")
    },
    "bulk_delete": partial(_change_in_bulk, action="delete"),
    "deleted_conversation": lambda c, u, t, r: conversation_deletion.delete(
        c, conversation_id=t, user_id=u
    ),
    "list_messages": lambda c, u, t, r: messages.select_page(
        c, conversation_id=t, user_id=u, limit=2
    ),
    "list_messages_of_all_branches": lambda c, u, t, r: messages.select_page(
        c, conversation_id=t, user_id=u, limit=2, all_branches=True
    ),
    "new_message": lambda c, u, t, r: messages.insert(c, **message(t, u)),
    "new_message_of_a_run": lambda c, u, t, r: messages.insert(
        c, **message(t, u, run_id=r, title="Name")
    ),
    "new_and_edited_message": lambda c, u, t, r: message_edits.update(
        c,
        message_id=insert_message(c, t, u),
        user_id=u,
        changes={"content": "C", "parts": [{"type": "text"}], "metadata": None},
    ),
    "new_message_and_its_versions": lambda c, u, t, r: message_versions.select_page(
        c, message_id=insert_message(c, t, u), user_id=u, limit=2
    ),
    "new_attachment": lambda c, u, t, r: insert_attachment(c, u),
    "list_attachments": lambda c, u, t, r: chat_attachments.select_page(c, user_id=u, limit=2),
    "list_runs": lambda c, u, t, r: runs.select_page(c, user_id=u, limit=2),
    "run": lambda c, u, t, r: runs.select_one(c, run_id=r, user_id=u),
    "new_run": lambda c, u, t, r: insert_run(c, u),
    "new_run_in_a_conversation": lambda c, u, t, r: insert_run(
        c, u, conversation_id=t, status="running"
    ),
    "run_with_new_status": lambda c, u, t, r: runs.update(
        c, run_id=r, user_id=u, changes={"status": "running"}
    ),
    "changed_run": lambda c, u, t, r: runs.update(c, run_id=r, user_id=u, changes={"error": "E"}),
    "unchanged_run": lambda c, u, t, r: runs.update(c, run_id=r, user_id=u, changes={}),
    "new_events": lambda c, u, t, r: run_events.insert(
        c, run_id=r, user_id=u, events=[{"type": "delta", "data": {}, "transient": True}] * 3
    ),
    "new_event_after": lambda c, u, t, r: run_events.insert(
        c, run_id=r, user_id=u, events=[{"type": "delta", "data": {}}], after=0
    ),
    "list_events": lambda c, u, t, r: run_events.select_page(
        c, run_id=r, user_id=u, after=0, limit=2
    ),
    "event_position": lambda c, u, t, r: run_events.select_position(c, run_id=r, user_id=u),
    "settings": lambda c, u, t, r: chat_settings.select_one(c, user_id=u),
    "locked_key": lambda c, u, t, r: idempotency_keys.try_lock(c, user_id=u, key="k"),
    "response_of_a_key": lambda c, u, t, r: idempotency_keys.select_one(c, user_id=u, key="k"),
    "new_response_of_a_key": lambda c, u, t, r: idempotency_keys.insert(c, **answer(u, id=t)),
    "search": lambda c, u, t, r: search.select_page(
        c, user_id=u, query=query.parse("word"), limit=2
    ),
    "position_in_the_log": lambda c, u, t, r: change_positions.number_all(c, user_id="nobody"),
    "saved_settings": lambda c, u, t, r: chat_settings.upsert(
        c, user_id=u, changes={"max_tokens": 1}
    ),
}

REFUSED: dict[str, tuple[str, Callable[[Connection, str, dict[str, str]], object]]] = {
    "read_conversation": (
        "conversation",
        lambda c, u, i: conversations.select_with_messages(
            c, conversation_id=i["conversation"], user_id=u, limit=1
        ),
    ),
    "change_conversation": (
        "conversation",
        lambda c, u, i: conversations.update(
            c, conversation_id=i["conversation"], user_id=u, changes={"title": "T"}
        ),
    ),
    "delete_conversation": (
        "conversation",
        lambda c, u, i: conversation_deletion.delete(
            c, conversation_id=i["conversation"], user_id=u
        ),
    ),
    "list_messages": (
        "conversation",
        lambda c, u, i: messages.select_page(
            c, conversation_id=i["conversation"], user_id=u, limit=2
        ),
    ),
    "add_message": (
        "conversation",
        lambda c, u, i: messages.insert(c, **message(i["conversation"], u)),
    ),
    "add_message_of_a_run": (
        "conversation",
        lambda c, u, i: messages.insert(c, **message(i["conversation"], u, run_id=NOBODY)),
    ),
    "add_branch": (
        "conversation",
        lambda c, u, i: messages.insert(c, **message(i["conversation"], u, parent_id=NOBODY)),
    ),
    "activate_branch": (
        "conversation",
        lambda c, u, i: activation.activate(
            c, conversation_id=i["conversation"], user_id=u, message_id=NOBODY
        ),
    ),
    "copy_conversation": (
        "conversation",
        lambda c, u, i: forks.insert(c, conversation_id=i["conversation"], user_id=u),
    ),
    "delete_message": (
        "message",
        lambda c, u, i: deletion.delete(c, message_id=i["message"], user_id=u),
    ),
    "mark_as_read": (
        "conversation",
        lambda c, u, i: reading.update(c, conversation_id=i["conversation"], user_id=u),
    ),
    "read_message": (
        "message",
        lambda c, u, i: messages.select_one(c, message_id=i["message"], user_id=u),
    ),
    "change_message": (
        "message",
        lambda c, u, i: message_edits.update(
            c, message_id=i["message"], user_id=u, changes={"content": "C"}
        ),
    ),
    "list_versions": (
        "message",
        lambda c, u, i: message_versions.select_page(
            c, message_id=i["message"], user_id=u, limit=2
        ),
    ),
    "read_attachment": (
        "attachment",
        lambda c, u, i: chat_attachments.select_one(c, attachment_id=i["attachment"], user_id=u),
    ),
    "delete_attachment": (
        "attachment",
        lambda c, u, i: chat_attachments.delete(c, attachment_id=i["attachment"], user_id=u),
    ),
    "add_message_with_an_attachment": (
        "conversation",
        lambda c, u, i: messages.insert(
            c, **message(i["conversation"], u, attachment_ids=[i["attachment"]])
        ),
    ),
    "read_run": ("run", lambda c, u, i: runs.select_one(c, run_id=i["run"], user_id=u)),
    "change_status": (
        "run",
        lambda c, u, i: runs.update(c, run_id=i["run"], user_id=u, changes={"status": "running"}),
    ),
}


def test_each_query_is_one_statement(connection: Connection, user: str) -> None:
    counts = {}
    for name, action in QUERIES.items():
        conversation_id, run_id = (
            insert_conversation(connection, user),
            insert_run(connection, user),
        )
        with traced() as trace:
            action(connection, user, conversation_id, run_id)
        counts[name] = len(trace)

    more = {
        "conversation_with_messages": 2,
        # One for the message, and four to find its conversation, lock both, edit and index it.
        "new_and_edited_message": 5,
        "new_message_and_its_versions": 2,
        # These also look for members, if the run has a conversation.
        "new_run_in_a_conversation": 3,
        "deleted_conversation": 4,
        "changed_run": 2,
        "run_with_new_status": 4,
        # One of the three inserts the message that is read.
        "read_message": 3,
        **{name: 2 for name in QUERIES if name.startswith("bulk_")},
        "bulk_delete": 4,
        # The second one looks for shared conversations. Results would need a third one.
        "search": 2,
    }
    assert counts == dict.fromkeys(QUERIES, 1) | more


def test_select_message_is_one_statement(
    connection: Connection, user: str, conversation_id: str
) -> None:
    message_id, made = messages.insert(connection, **message(conversation_id, user))

    with traced() as trace:
        found = messages.select_one(connection, message_id=message_id, user_id=user)

    assert found == made
    assert len(trace) == 1


def test_autocommit_sends_only_the_statement(configured: None, user: str) -> None:
    with engine.autocommit() as connection:
        chat_settings.select_one(connection, user_id=user)
        pid = value(connection, "SELECT pg_backend_pid()")
    with engine.autocommit() as connection:
        chat_settings.select_one(connection, user_id=user)
    # The session's last message is the query with its settings, not BEGIN or ROLLBACK.
    with engine.autocommit() as watched, engine.autocommit() as watcher:
        assert watched.backend_pid == pid
        sent, state = row(
            watcher,
            "SELECT query, state FROM pg_stat_activity WHERE pid = %(pid)s",
            {"pid": pid},
        )

    settings, _, query = sent.rpartition(";\n")
    assert settings.startswith("SET LOCAL agent_api.acting_user")
    assert query.startswith("EXECUTE select_")
    assert state == "idle"


READ_BY_MEMBERS: dict[str, Callable[[Connection, str, str], object]] = {
    "conversation": lambda c, u, t: conversations.select_one(c, conversation_id=t, user_id=u),
    "list_messages": lambda c, u, t: messages.select_page(c, conversation_id=t, user_id=u, limit=9),
}


@pytest.mark.parametrize("name", READ_BY_MEMBERS)
def test_member_reads_with_two_statements(
    connection: Connection, user: str, conversation_id: str, name: str
) -> None:
    query = READ_BY_MEMBERS[name]
    share(connection, conversation_id, user, "member")

    with traced() as trace:
        with pytest.raises(access.Granted) as granted:
            query(connection, "member", conversation_id)
        with acting_under(granted.value.grant):
            query(connection, user, conversation_id)

    assert len(trace) == 2
    assert [parameters["acting_user"] for _, parameters in trace] == ["member", user]


@pytest.mark.parametrize("name", REFUSED)
def test_missing_row_and_another_users_row_raise_different_errors(
    connection: Connection,
    user: str,
    conversation_id: str,
    run_id: str,
    name: str,
) -> None:
    resource, query = REFUSED[name]
    message_id, made = messages.insert(connection, **message(conversation_id, user))
    ids = {
        "conversation": conversation_id,
        "run": run_id,
        "message": message_id,
        "attachment": insert_attachment(connection, user),
    }

    with pytest.raises(errors.Denied) as denied:
        query(connection, "somebody else", ids)
    with pytest.raises(errors.Missing) as missing:
        query(connection, user, dict.fromkeys(ids, NOBODY))

    assert denied.value.resource == missing.value.resource == resource
    assert messages.select_one(connection, message_id=message_id, user_id=user) == made


def test_row_created_after_the_statement_is_missing(
    connection: Connection, user: str, run_id: str
) -> None:
    with pytest.raises(errors.Missing):
        access.refuse(connection, "run", row_id=run_id, user_id=user)


def test_reference_to_missing_and_other_users_rows_raises_reference(
    connection: Connection, user: str, conversation_id: str, run_id: str
) -> None:
    mine = insert_conversation(connection, "somebody else")

    for linked in (run_id, NOBODY):
        with pytest.raises(errors.Reference, match="run_id"):
            messages.insert(connection, **message(mine, "somebody else", run_id=linked))
    for linked in (conversation_id, NOBODY):
        with pytest.raises(errors.Reference, match="conversation_id"):
            insert_run(connection, "somebody else", conversation_id=linked)

    found = conversations.select_one(connection, conversation_id=mine, user_id="somebody else")
    assert json.loads(found)["message_count"] == 0


def test_conflict_names_the_allowed_statuses(
    connection: Connection, user: str, run_id: str
) -> None:
    with pytest.raises(errors.Conflict) as early:
        runs.update(connection, run_id=run_id, user_id=user, changes={"status": "succeeded"})
    runs.update(connection, run_id=run_id, user_id=user, changes={"status": "cancelled"})
    with pytest.raises(errors.Conflict) as late:
        runs.update(connection, run_id=run_id, user_id=user, changes={"status": "running"})

    assert early.value.detail == (
        "A run that is pending cannot become succeeded:"
        " it can become running, failed, timeout or cancelled."
    )
    assert late.value.detail == "A run that is cancelled cannot become running: it has ended."


def test_update_run_allows_exactly_the_transitions(connection: Connection, user: str) -> None:
    for origin, moves in runs.TRANSITIONS.items():
        for target in runs.TRANSITIONS:
            run = insert_run(connection, user)
            path = [] if origin == "pending" else ["running", origin]
            for status in path:
                runs.update(connection, run_id=run, user_id=user, changes={"status": status})
            move = partial(
                runs.update, connection, run_id=run, user_id=user, changes={"status": target}
            )
            if target in (origin, *moves):
                assert json.loads(move())["status"] == target
            else:
                with pytest.raises(errors.Conflict):
                    move()
