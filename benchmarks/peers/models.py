"""The pydantic models of the FastAPI peer: what the contract says of requests and responses.

Responses are typed dictionaries, which pydantic validates and writes faster than model classes.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

Role = Literal["user", "assistant", "system"]
MemberRole = Literal["owner", "editor", "viewer"]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Name = Annotated[str, Field(min_length=1, max_length=255)]
Tag = Annotated[str, Field(min_length=1, max_length=50)]
Source = Annotated[str, Field(min_length=1, max_length=50)]
Content = Annotated[str, Field(max_length=10_485_760)]
Cursor = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9_-]+$")]
Offset = Annotated[int, Field(ge=0, le=2**31 - 1)]
Json = dict[str, Any]


class ListParameters(BaseModel):
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    offset: Offset = 0
    order_by: Literal["created_at", "updated_at"] = "created_at"
    order: Literal["asc", "desc"] = "desc"
    source: Source | None = None
    agent_id: Name | None = None
    cursor: Cursor | None = None


class GetParameters(BaseModel):
    include_messages: bool = True
    message_limit: Annotated[int, Field(ge=1, le=500)] = 100
    message_offset: Offset = 0


class Attachment(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic reads it

    name: Name
    type: Annotated[str, Field(max_length=255)]
    url: Annotated[str, Field(min_length=1, max_length=8192)]
    size: Count


Attachments = Annotated[list[Attachment], Field(max_length=100)]
ToolCalls = Annotated[list[Json], Field(max_length=1000)]


class MessageCreate(BaseModel):
    role: Role
    content: Content
    attachments: Attachments | None = None
    metadata: Json | None = None
    run_id: UUID | None = None
    routing_decision: Json | None = None
    tool_calls: ToolCalls | None = None


class Message(TypedDict):
    id: str
    conversation_id: str
    role: Role
    content: Content
    attachments: Attachments | None
    chat_attachments: Annotated[list[Json], Field(max_length=50)]
    metadata: Json | None
    run_id: str | None
    routing_decision: Json | None
    tool_calls: ToolCalls | None
    feedback: Json | None
    created_at: datetime
    parent_id: str | None
    sibling_index: Annotated[int, Field(ge=1)]
    sibling_count: Annotated[int, Field(ge=1)]
    active: bool
    parts: Annotated[list[Json], Field(max_length=1000)] | None
    author: Name | None
    version: Annotated[int, Field(ge=1)]
    edited_at: str | None


class MessagePreview(TypedDict):
    role: Role
    content: Annotated[str, Field(max_length=100)]
    created_at: datetime


class Conversation(TypedDict):
    id: str
    title: Name
    user_id: Name
    role: MemberRole
    shared_by: Name | None
    source: Source | None
    model: Name | None
    agent_id: Name | None
    is_private: bool
    metadata: Json | None
    archived: bool
    pinned: bool
    tags: Annotated[list[Tag], Field(max_length=20)]
    message_count: Count
    unread_count: Count
    last_message: MessagePreview | None
    created_at: datetime
    updated_at: datetime


class ConversationWithMessages(Conversation):
    messages: NotRequired[Annotated[list[Message], Field(max_length=500)]]


class ConversationPage(TypedDict):
    conversations: Annotated[list[Conversation], Field(max_length=100)]
    total: Count
    limit: int
    offset: int
    next_cursor: Cursor | None


class ChatSettings(TypedDict):
    id: str | None
    user_id: Name
    enabled_tools: Annotated[list[Name], Field(max_length=1000)]
    enabled_agents: Annotated[list[str], Field(max_length=1000)]
    model: Name | None
    temperature: Annotated[float, Field(ge=0, le=2)]
    max_tokens: Annotated[int, Field(ge=1, le=32_000)]
    created_at: datetime | None
    updated_at: datetime | None
