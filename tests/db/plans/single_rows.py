"""Queries of single rows, and the statements of foreign keys."""

from functools import partial

from db import chat_settings, idempotency_keys, runs
from db.attachments import chat_attachments
from db.conversations import conversation_deletion, conversations
from db.engine import Connection
from db.messages import messages
from tests.db.plans.explaining import Action
from tests.db.plans.lists import ATTACHMENT, CONVERSATION, RUN, USER
from tests.db.rows import answer, insert_attachment, insert_conversation, insert_run, message


def added_attachment(connection: Connection) -> str:
    attachment_id = insert_attachment(connection, USER)
    messages.insert(connection, **message(CONVERSATION, USER, attachment_ids=[attachment_id]))
    return attachment_id


SINGLE: dict[str, Action] = {
    "read conversation": partial(
        conversations.select_one, conversation_id=CONVERSATION, user_id=USER
    ),
    "read conversation with messages": partial(
        conversations.select_with_messages,
        conversation_id=CONVERSATION,
        user_id=USER,
        limit=10,
    ),
    "add conversation": lambda c: insert_conversation(c, USER),
    "change conversation": partial(
        conversations.update,
        conversation_id=CONVERSATION,
        user_id=USER,
        changes={"title": "Another"},
    ),
    "delete conversation": partial(
        conversation_deletion.delete, conversation_id=CONVERSATION, user_id=USER
    ),
    "add message": lambda c: messages.insert(c, **message(CONVERSATION, USER)),
    "add message of a run": lambda c: messages.insert(c, **message(CONVERSATION, USER, run_id=RUN)),
    "add message with an attachment": lambda c: messages.insert(
        c, **message(CONVERSATION, USER, attachment_ids=[insert_attachment(c, USER)])
    ),
    "read attachment": partial(chat_attachments.select_one, attachment_id=ATTACHMENT, user_id=USER),
    "delete attachment": lambda c: chat_attachments.delete(
        c, attachment_id=added_attachment(c), user_id=USER
    ),
    "read run": partial(runs.select_one, run_id=RUN, user_id=USER),
    "add run": lambda c: insert_run(c, USER),
    "add run in a conversation": lambda c: insert_run(c, USER, conversation_id=CONVERSATION),
    "change run": partial(runs.update, run_id=RUN, user_id=USER, changes={"error": "E"}),
    "read answer of a key": partial(idempotency_keys.select_one, user_id=USER, key="5"),
    "keep answer of a key": lambda c: idempotency_keys.insert(c, **answer(USER, id=CONVERSATION)),
    "read settings": partial(chat_settings.select_one, user_id=USER),
    "save settings": partial(chat_settings.upsert, user_id=USER, changes={"model": "m"}),
}

# The statements that foreign keys run when a referenced row is deleted.
LINKS = {
    "messages of a conversation": "DELETE FROM messages WHERE conversation_id = %(id)s",
    "runs of a conversation": (
        "UPDATE runs SET conversation_id = NULL WHERE conversation_id = %(id)s"
    ),
    "attachments of a conversation": (
        "DELETE FROM chat_attachments WHERE conversation_id = %(id)s"
    ),
    "answers about a conversation": "DELETE FROM idempotency_keys WHERE conversation_id = %(id)s",
    "messages of a run": "UPDATE messages SET run_id = NULL WHERE run_id = %(id)s",
}
