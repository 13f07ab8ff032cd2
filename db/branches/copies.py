"""Stores copies of messages as a new conversation."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from msgspec import Raw

from db import access
from db.change_log import recording
from db.characters import cut
from db.documents import CONVERSATION, to_json
from db.engine import Connection
from db.engine.statement import Statement
from db.messages import message_details, message_insertion
from db.models import PREVIEW_CHARACTERS, Id, MessageRole, Moment, conversations, messages, new_id
from db.organising import agents
from db.search import backlog

PROPERTIES = ("title", "auto_title", "source", "model", "agent_id", "is_private", "metadata")
"""What a copy has from the original, unless it gets other values."""

_BATCH = 200
_JSON = (
    *("attachments", "chat_attachments", "metadata", "routing_decision", "tool_calls", "details"),
)
_c = conversations.c
_new_id = sa.bindparam("new_id", type_=Id)


class Copied(NamedTuple):
    """The columns of a message that are copied, as PostgreSQL writes them, and its id."""

    id: str
    role: str
    content: str
    attachments: Any
    chat_attachments: Any
    metadata: Any
    routing_decision: Any
    tool_calls: Any
    details: Any
    created_at: str


def _insertion() -> Statement:
    now = sa.func.now()
    count = sa.bindparam("new_count", type_=sa.BigInteger)
    names = (*PROPERTIES, "last_message_role", "last_message_content")
    columns: dict[str, Any] = {
        name: sa.bindparam(f"new_{name}", type_=_c[name].type) for name in names
    }
    columns |= dict.fromkeys(("message_count", "last_position", "read_position"), count)
    columns |= dict.fromkeys(("created_at", "updated_at"), now)
    columns["last_message_at"] = sa.cast(sa.bindparam("last_at", type_=sa.Text), Moment)
    user = sa.bindparam("acting_user", type_=sa.String)
    return Statement(
        recording.insertion(
            "conversation.created", conversation_id=_new_id, resource_id=_new_id, at=now
        ),
        sa.insert(conversations)
        .values({"id": _new_id, "user_id": user, **columns})
        .returning(*CONVERSATION.columns),
    )


def _copying() -> Statement:
    """Return the statement that inserts messages from one JSON array."""
    types: dict[str, Any] = dict.fromkeys(_JSON, sa.JSON)
    types |= {"id": Id, "parent_id": Id, "position": sa.BigInteger, "role": MessageRole}
    types |= {"content": sa.Text, "created_at": Moment}
    rows = sa.cast(sa.bindparam("rows", type_=sa.Text), sa.JSON)
    new = (
        sa.func.json_to_recordset(rows)
        .table_valued(*(sa.column(name, kind) for name, kind in types.items()), name="new")
        .render_derived(with_types=True)
    )
    # From the conversation, so that distributed tables know the node.
    values = (
        sa.select(_c.id, _c.user_id, *(new.c[name] for name in types))
        .select_from(sa.join(conversations, new, sa.true()))
        .where(_c.id == sa.bindparam("of_conversation", type_=Id), access.CONVERSATION)
    )
    names = ["conversation_id", "user_id", *types]
    return Statement(sa.insert(messages).from_select(names, values))


_insert = _insertion()
_insert_messages = _copying()


def insert(
    connection: Connection,
    *,
    user_id: str,
    properties: Mapping[str, Any],
    copied: Sequence[Copied],
) -> tuple[str, bytes]:
    """Create a conversation with copies of messages, oldest first; return its id and document.

    It needs a transaction.
    """
    conversation_id = new_id()
    values: dict[str, Any] = {"of_conversation": conversation_id, "acting_user": user_id}
    last = copied[-1] if copied else None
    new: dict[str, Any] = {
        "change_id": new_id(),
        "new_id": conversation_id,
        **{f"new_{name}": value for name, value in properties.items()},
        "new_count": len(copied),
        "new_last_message_role": last and last.role,
        "new_last_message_content": None if last is None else cut(last.content, PREVIEW_CHARACTERS),
        "last_at": last and f"{last.created_at}+00",
    }
    row = _insert.row(connection, values | new)
    for batch in _batches(copied):
        _insert_messages.rowcount(connection, values | {"rows": batch})
    while backlog.index_some(connection, conversation_id=conversation_id, user_id=user_id):
        pass
    decisions = [orjson.loads(each.routing_decision) for each in copied if each.routing_decision]
    names = dict.fromkeys(name for decision in decisions for name in agents.selected(decision))
    if names:
        message_insertion.insert_agents.rowcount(connection, values | {"new_agents": [*names]})
    recording.announce(connection, user_id)
    return conversation_id, CONVERSATION.write(row)


def _batches(copied: Sequence[Copied]) -> Iterator[str]:
    """Yield the new rows as JSON arrays, so that no statement becomes too large."""
    parent_id = None
    for start in range(0, len(copied), _BATCH):
        batch = []
        for position, each in enumerate(copied[start : start + _BATCH], start=start + 1):
            row = each._asdict() | {"id": new_id(), "parent_id": parent_id, "position": position}
            row |= {name: row[name] and Raw(row[name]) for name in _JSON}
            row["details"] = _details(each.details)
            batch.append(row | {"created_at": f"{each.created_at}+00"})
            parent_id = row["id"]
        yield to_json(batch).decode()


def _details(text: str | None) -> dict[str, Raw] | None:
    """Return the details of a copy: the parts of the original, without author and version."""
    parts = message_details.read(text).parts if text else Raw()
    return {"parts": parts} if parts else None
