"""Writes rows of messages and their versions as JSON documents."""

from typing import Any

from msgspec import Raw, Struct
from sqlalchemy import ColumnElement, Text, bindparam, cast

from db import models
from db.branches import places
from db.documents import Document, Json, time
from db.messages import message_details

_NONE = Raw(b"[]")


class _Message(Struct, gc=False):
    id: str
    conversation_id: str
    role: str
    content: str
    attachments: Json
    chat_attachments: Json
    metadata: Json
    run_id: str | None
    routing_decision: Json
    tool_calls: Json
    feedback: Json
    created_at: str
    # The others have these values for nearly all messages of an active path.
    parts: Json
    parent_id: str | None
    sibling_index: int = 1
    sibling_count: int = 1
    active: bool = True
    author: str | None = None
    version: int = 1
    edited_at: str | None = None

    def __post_init__(self) -> None:
        if self.parts:  # the column `details`, which has all four
            details = message_details.read(self.parts)
            self.parts = details.parts or None
            self.author = details.author
            self.version = details.version
            self.edited_at = details.edited_at
        if self.attachments:
            self.attachments = Raw(self.attachments)
        shown = self.chat_attachments
        self.chat_attachments = _NONE if shown is None else Raw(shown)
        if self.metadata:
            self.metadata = Raw(self.metadata)
        if self.routing_decision:
            self.routing_decision = Raw(self.routing_decision)
        if self.tool_calls:
            self.tool_calls = Raw(self.tool_calls)
        if self.feedback:
            self.feedback = Raw(self.feedback)
        self.created_at = time(self.created_at)


class _MessageVersion(Struct, gc=False, rename={"author_id": "author"}):
    version: int
    author_id: str | None
    content: str
    parts: Json
    metadata: Json
    created_at: str

    def __post_init__(self) -> None:
        self.parts = self.parts and Raw(self.parts)
        self.metadata = self.metadata and Raw(self.metadata)
        self.created_at = time(self.created_at)


FEEDBACK_OF_READER: ColumnElement[Any] = models.messages.c.feedback[
    cast(bindparam("reader"), Text)
].label("feedback")
"""What the caller thinks of a message, from the feedback of all its users."""
_OF_READER = {"feedback": FEEDBACK_OF_READER}

MESSAGE = Document(
    models.messages,
    (
        *("id", "conversation_id", "role", "content", "attachments", "chat_attachments"),
        *("metadata", "run_id", "routing_decision", "tool_calls", "feedback", "created_at"),
        *("details", "parent_id", "sibling_index", "sibling_count", "active"),
    ),
    _Message,
    computed={**_OF_READER, **places.PLACE},
    uncounted=["chat_attachments", "details"],
)
MESSAGE_VERSION = Document(
    models.message_versions, _MessageVersion.__struct_fields__, _MessageVersion
)
STORED_MESSAGE = MESSAGE._replace(computed={**_OF_READER, **places.STORED})
"""For RETURNING, in which distributed tables refuse subqueries."""
NEW_MESSAGE = MESSAGE._replace(names=MESSAGE.names[:-3], computed={})
"""For a message that was just inserted, before it gets a number."""
MESSAGE_OF_PATH = MESSAGE._replace(
    names=MESSAGE.names[:-3], computed={**_OF_READER, **places.OF_PATH}
)
"""For pages of the active path, which `places.complete` completes."""
