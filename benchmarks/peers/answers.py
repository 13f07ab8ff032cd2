"""Rows of the FastAPI peers' statements as the values that their response models check."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from benchmarks.peers.common import Listing, Refusal, foreign, missing, write_cursor
from benchmarks.peers.models import CONVERSATION, MESSAGE, MessageCreate
from db.chat_settings import DEFAULTS
from db.models import PREVIEW_CHARACTERS, new_id
from handlers.messages import _title_from as name_from  # public ones are operations

Answer = dict[str, Any]
Row = Sequence[Any]

_SETTINGS = (
    "id user_id enabled_tools enabled_agents model temperature max_tokens created_at updated_at"
).split()


_PREVIEW_AT = len(CONVERSATION)


def conversation(row: Row) -> Answer:
    answer = dict(zip(CONVERSATION, row, strict=False))
    role, content, created_at = row[_PREVIEW_AT : _PREVIEW_AT + 3]
    answer["last_message"] = (
        None if role is None else {"role": role, "content": content, "created_at": created_at}
    )
    return answer


def message(row: Row) -> Answer:
    return dict(zip(MESSAGE, row, strict=False))


def settings(row: Row | None, user: str) -> Answer:
    if row is not None:
        return dict(zip(_SETTINGS, row, strict=True))
    unsaved = dict.fromkeys(("id", "created_at", "updated_at"))
    return {**unsaved, "user_id": user, **DEFAULTS}


def conversation_page(
    rows: Sequence[Row], total: int, *, limit: int, offset: int, listing: Listing, order_by: str
) -> Answer:
    """The page of `rows`, of which there is one over the limit where another page follows."""
    conversations = [conversation(row) for row in rows[:limit]]
    cursor = None
    if len(rows) > limit:
        last = conversations[-1]
        cursor = write_cursor(listing, [_time(last[order_by]), last["id"], total])
    return {
        "conversations": conversations,
        "total": total,
        "limit": limit,
        "offset": offset,
        "next_cursor": cursor,
    }


def message_page(
    rows: Sequence[Row], total: int, *, limit: int, offset: int, listing: Listing
) -> Answer:
    """The same, for messages."""
    return {
        "messages": [message(row) for row in rows[:limit]],
        "total": total,
        "limit": limit,
        "offset": offset,
        "next_cursor": write_cursor(listing, [rows[limit - 1][len(MESSAGE)]])
        if len(rows) > limit
        else None,
    }


def new_message(conversation_id: str, body: MessageCreate) -> Answer:
    """All that is known of a message before it is stored."""
    return {
        "id": new_id(),
        "conversation_id": conversation_id,
        "role": body.role,
        "content": body.content,
        "attachments": body.attachments,
        "metadata": body.metadata,
        "run_id": None if body.run_id is None else str(body.run_id),
        "routing_decision": body.routing_decision,
        "tool_calls": body.tool_calls,
    }


def to_insert(message: Answer, user: str) -> dict[str, Any]:
    """The parameters of the statement that stores a message."""
    content = message["content"]
    return {
        **{f"new_{name}": value for name, value in message.items()},
        "this": message["conversation_id"],
        "user": user,
        "new_title": name_from(content) if message["role"] == "user" else None,
        "preview": content[:PREVIEW_CHARACTERS],
    }


def refusal(resource: str, owner: Row | None) -> Refusal:
    """Tell why a statement with the access rule in it found nothing."""
    return missing(resource) if owner is None else foreign(resource)


def refusal_to_insert(owner: Row | None, user: str) -> Refusal:
    """The same for a new message, which may also name a run that is not the user's."""
    if owner is not None and owner[0] == user:
        return Refusal(422, "The request breaks 1 rule of the contract. See `errors`.")
    return refusal("conversation", owner)


def total(owner: Row | None, user: str) -> int:
    """The number of messages in a conversation that gave no row; raises Refusal."""
    if owner is None or owner[0] != user:
        raise refusal("conversation", owner)
    count: int = owner[1]
    return count


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
