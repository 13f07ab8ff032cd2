"""Writes rows as the JSON documents of the contract's resources.

Each resource has a structure, which is made from the values of a row. Compared with a dictionary,
that takes half as long, and a page has up to 500 rows.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import ColumnElement, DateTime, Text, case, cast, func, literal_column
from sqlalchemy.sql.selectable import NamedFromClause

from db import models

Row = Sequence[Any]
Json = Any
"""The text from the row, which the structure turns into Raw: it is written as it is."""

_UTC: ColumnElement[str] = literal_column("'UTC'")


to_json = msgspec.json.Encoder().encode


class Document(NamedTuple):
    """A resource: its table, and what its document is written from."""

    table: NamedFromClause
    names: Sequence[str]
    """The columns that the document is written from."""
    structure: Callable[..., Struct]
    """Makes the document from the values of these columns, in their order."""
    computed: Mapping[str, ColumnElement[Any]] = MappingProxyType({})
    """What statements select instead of some of these columns."""
    uncounted: Sequence[str] = ()
    """Columns of JSON that are newer than the table's `size`, which does not count them."""

    @property
    def columns(self) -> list[ColumnElement[Any]]:
        """Return the columns, as statements select them."""
        columns = [self.computed.get(name, self.table.c[name]) for name in self.names]
        return [utc(c) if isinstance(c.type, DateTime) else c for c in columns]

    @property
    def size(self) -> ColumnElement[int]:
        """Return the bytes of a row's texts and JSON."""
        size: ColumnElement[int] = self.table.c.size
        # Most rows have none of these. With coalesce() a page of 100 messages takes 1 % more CPU.
        for name in self.uncounted:
            column = self.table.c[name]
            size = case((column.is_(None), size), else_=size + bytes_of(column))
        return size

    def write(self, row: Row) -> bytes:
        """Return a row's document as JSON."""
        return to_json(self.structure(*row))


def bytes_of(column: ColumnElement[Any]) -> ColumnElement[int]:
    """Return the bytes of a JSON column's text, or null."""
    return func.octet_length(cast(column, Text))


def utc(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a time in UTC, independent of the session's time zone."""
    return func.timezone(_UTC, moment, type_=DateTime())


def time(text: str) -> str:
    """Return RFC 3339 with microseconds for a time in UTC as PostgreSQL writes it.

    PostgreSQL omits zeros at the end: 2026-03-02 09:14:23.0477.
    """
    if len(text) == 26:
        return text.replace(" ", "T") + "Z"
    return f"{text[:10]}T{text[11:19]}.{text[20:]:0<6}Z"


class _LastMessage(Struct, gc=False):
    role: str
    content: str
    created_at: str


class MemberView(NamedTuple):
    """What a member of a shared conversation sees instead of the owner's values."""

    role: str
    archived: bool
    pinned: bool
    tags: list[str]
    unread_count: int


class _Conversation(Struct, gc=False):
    id: str
    title: str
    user_id: str
    role: str
    shared_by: str | None
    source: str | None
    model: str | None
    agent_id: str | None
    is_private: bool
    metadata: Raw | None
    archived: bool
    pinned: bool
    tags: list[str]
    message_count: int
    unread_count: int
    last_message: _LastMessage | None
    created_at: str
    updated_at: str


def _conversation(
    id_: str,
    title: str,
    user_id: str,
    source: str | None,
    model: str | None,
    agent_id: str | None,
    is_private: bool,
    metadata: Json,
    archived: bool,
    pinned: bool,
    tags: list[str],
    message_count: int,
    unread_count: int,
    role: str,
    content: str,
    last_at: Any,
    created_at: str,
    updated_at: str,
    member: MemberView | None = None,
) -> Struct:
    """Return the structure for the owner, or for a member, whose view follows the columns.

    Parameters by name: slices of the row would take a quarter longer.
    """
    member_role, shared_by = "owner", None
    if member is not None:
        member_role, archived, pinned, tags, unread_count = member
        shared_by = user_id
    return _Conversation(
        id_,
        title,
        user_id,
        member_role,
        shared_by,
        source,
        model,
        agent_id,
        is_private,
        metadata and Raw(metadata),
        archived,
        pinned,
        tags,
        message_count,
        unread_count,
        last_at and _LastMessage(role, content, time(last_at)),
        time(created_at),
        time(updated_at),
    )


class _Share(Struct, gc=False):
    id: str
    conversation_id: str
    user_id: str
    role: str
    shared_by: str
    shared_at: str

    def __post_init__(self) -> None:
        self.shared_at = time(self.shared_at)


class _Link(Struct, gc=False):
    id: str
    conversation_id: str
    with_attachments: bool
    expires_at: str | None
    created_at: str

    def __post_init__(self) -> None:
        self.expires_at = self.expires_at and time(self.expires_at)
        self.created_at = time(self.created_at)


class _ChatAttachment(Struct, gc=False):
    id: str
    filename: str
    file_url: str
    mime_type: str | None
    size_bytes: int | None
    added_to_library: bool
    library_document_id: str | None
    created_at: str
    parsed_content: str | None
    conversation_id: str | None
    message_id: str | None

    def __post_init__(self) -> None:
        self.created_at = time(self.created_at)


class _ChatSettings(Struct, gc=False):
    id: str
    user_id: str
    enabled_tools: list[str]
    enabled_agents: list[str]
    model: str | None
    temperature: float
    max_tokens: int
    created_at: str
    updated_at: str

    def __post_init__(self) -> None:
        self.created_at = time(self.created_at)
        self.updated_at = time(self.updated_at)


CONVERSATION = Document(
    models.conversations,
    (
        *("id", "title", "user_id", "source", "model", "agent_id", "is_private", "metadata"),
        *("archived", "pinned", "tags", "message_count", "unread_count", "last_message_role"),
        *("last_message_content", "last_message_at", "created_at", "updated_at"),
    ),
    _conversation,
)
CHAT_ATTACHMENT = Document(
    models.chat_attachments, _ChatAttachment.__struct_fields__, _ChatAttachment
)
SHARE = Document(
    models.shares,
    # The row's user is the owner, and the document's is the member.
    ("id", "conversation_id", "member_id", "role", "user_id", "created_at"),
    _Share,
)
LINK = Document(models.links, _Link.__struct_fields__, _Link)
CHAT_SETTINGS = Document(models.chat_settings, _ChatSettings.__struct_fields__, _ChatSettings)
