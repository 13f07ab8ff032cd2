"""The SQL that every peer sends as prepared statements. Each condition includes the owner.

The peers use PostgreSQL as ours does: a list reads no messages, and one statement stores a message
and updates its conversation.
"""

from itertools import product
from typing import Any

_CONVERSATION = """id::text, title, user_id, source, model, agent_id, is_private, metadata,
    archived, pinned, tags, message_count, unread_count, last_message_role, last_message_content,
    last_message_at, created_at, updated_at"""
_MESSAGE = """id::text, conversation_id::text, role, content, attachments,
    coalesce(chat_attachments, '[]') AS chat_attachments, metadata, run_id::text, routing_decision,
    tool_calls, (feedback -> $1::text)::json AS feedback, created_at, parent_id::text,
    coalesce(sibling_index, 1) AS sibling_index, coalesce(sibling_count, 1) AS sibling_count,
    active, details"""

# $1 is the user and $2 the id, of the conversation for all but get_message.
GET_CONVERSATION = f"SELECT {_CONVERSATION} FROM conversations WHERE id = $2 AND user_id = $1"
GET_MESSAGES = f"""SELECT {_MESSAGE} FROM messages WHERE conversation_id = $2 AND user_id = $1
    AND active ORDER BY position LIMIT $3 OFFSET $4"""
GET_MESSAGE = f"SELECT {_MESSAGE} FROM messages WHERE id = $2 AND user_id = $1"
GET_SETTINGS = """SELECT id::text, user_id, enabled_tools, enabled_agents::text[], model,
    temperature, max_tokens, created_at, updated_at FROM chat_settings WHERE user_id = $1"""

# The response repeats the request, except for the time and the parent.
CREATE_MESSAGE = """WITH changed AS (
        UPDATE conversations SET
            message_count = message_count + 1, last_position = last_position + 1,
            last_message_role = $4, last_message_content = $12,
            last_message_at = greatest(statement_timestamp(), updated_at),
            updated_at = greatest(statement_timestamp(), updated_at),
            read_position = CASE WHEN $4::message_role = 'user' THEN last_position + 1
                ELSE read_position END,
            unread_count = CASE WHEN $4::message_role = 'user' THEN 0 ELSE unread_count + 1 END,
            title = CASE WHEN auto_title THEN coalesce($11, title) ELSE title END,
            auto_title = auto_title AND $11::text IS NULL,
            previous_message_id = last_message_id, last_message_id = $3::uuid,
            last_message_known_at = last_position + 1
        WHERE id = $2 AND user_id = $1
        RETURNING id, user_id, last_position, updated_at, previous_message_id
    )
    INSERT INTO messages (id, conversation_id, user_id, position, role, content, attachments,
        metadata, run_id, routing_decision, tool_calls, created_at, parent_id)
    SELECT $3::uuid, id, user_id, last_position, $4, $5, $6::json, $7::json, $8::uuid, $9::json,
        $10::json, updated_at, previous_message_id
    FROM changed RETURNING created_at, parent_id::text"""

# To tell 403 from 404, after a statement found nothing.
OWNER = {
    "conversation": "SELECT user_id FROM conversations WHERE id = $1",
    "message": "SELECT user_id FROM messages WHERE id = $1",
}


def list_key(
    order_by: str, order: str, source: str | None, agent_id: str | None, after: Any
) -> str:
    """Return the key in LISTS of the statement for these parameters."""
    parts = (order_by, order, source and "source", agent_id and "agent_id", after and "after")
    return " ".join(part for part in parts if part)


def _list(order_by: str, order: str, source: str, agent_id: str, after: str) -> tuple[str, str]:
    """Return the page, and the total for an empty one.

    Parameters: user, then those of `source` and `agent_id` that are given; for the page also
    limit, offset and the last row's time and id. The rows of a first page end with the total.
    """
    where = "user_id = $1 AND NOT archived"
    given = 1
    for name in filter(None, (source, agent_id)):
        given += 1
        where += f" AND {name} = ${given}"
    total = f"SELECT count(*) FROM conversations WHERE {where}"
    columns, limit = _CONVERSATION, f"LIMIT ${given + 1} OFFSET ${given + 2}"
    if after:
        than = ">" if order == "asc" else "<"
        where += f" AND NOT pinned AND ({order_by}, id) {than} (${given + 3}, ${given + 4})"
    else:
        columns += f", ({total}) AS total"
    pinned = "" if after else "pinned DESC, "  # the benchmark's rows are not pinned
    order_by = f"ORDER BY {pinned}{order_by} {order}, conversations.id {order}"
    return f"SELECT {columns} FROM conversations WHERE {where} {order_by} {limit}", total


LISTS = {
    list_key(*form): _list(*form)
    for form in product(
        ("created_at", "updated_at"),
        ("asc", "desc"),
        ("", "source"),
        ("", "agent_id"),
        ("", "after"),
    )
}
