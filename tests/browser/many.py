"""Writes many rows at once, for tests of long lists."""

from typing import Any

CONVERSATIONS = """
INSERT INTO conversations (id, title, user_id, source, created_at, updated_at, message_count,
                           last_position, last_message_role, last_message_content, last_message_at)
SELECT gen_random_uuid(), 'Conversation ' || n, %(user)s, 'many', moment, moment, 1, 1,
       'user'::message_role, 'What is the answer to question ' || n || '?', moment
FROM (SELECT n, timestamptz '2026-01-01Z' - n * interval '1 minute' AS moment
      FROM generate_series(1, %(count)s) AS n) AS s
"""
MESSAGES = """
INSERT INTO messages (conversation_id, user_id, position, role, content)
SELECT %(conversation)s, %(user)s, n,
       (CASE WHEN n %% 2 = 1 THEN 'user' ELSE 'assistant' END)::message_role,
       'Message ' || n ||
       E' of many.\n\n- **one** and `two`\n- three ' || repeat('and more ', n %% 40)
FROM generate_series(1, %(count)s) AS n;

UPDATE conversations SET message_count = %(count)s, last_position = %(count)s,
       last_message_role = 'assistant', last_message_content = 'The last one',
       last_message_at = now()
WHERE id = %(conversation)s AND user_id = %(user)s
"""


def conversations(database: Any, user: str, count: int) -> None:
    """Give the user this many conversations: `Conversation 1` is the newest."""
    database.cursor().execute(CONVERSATIONS, {"user": user, "count": count})


def messages(database: Any, user: str, conversation: str, count: int) -> None:
    """Give an empty conversation this many messages: `Message 1` is the oldest."""
    values = {"user": user, "conversation": conversation, "count": count}
    database.cursor().execute(MESSAGES, values)
