"""A call of each query on rows of a user."""

from collections.abc import Callable
from functools import partial

from db import chat_settings, idempotency_keys, runs
from db.attachments import chat_attachments
from db.change_log import change_positions
from db.conversations import conversation_deletion, conversation_lists, conversations
from db.engine import Connection
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
)


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
