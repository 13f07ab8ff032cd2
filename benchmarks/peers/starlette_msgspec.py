"""Starlette with msgspec on asyncpg: requests are validated, responses are only written."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Raw, Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.common import PROBLEM_TYPE, Config, Refusal, Tokens
from benchmarks.peers.database import Database, Row
from db.chat_settings import DEFAULTS

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Json = dict[str, Any]
Documents = list[Json]
Offset = Annotated[int, Meta(ge=0, le=2**31 - 1)]

encode = msgspec.json.Encoder().encode


class ListParameters(Struct):
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    offset: Offset = 0
    order_by: Literal["created_at", "updated_at"] = "created_at"
    order: Literal["asc", "desc"] = "desc"
    source: Annotated[str, Meta(min_length=1, max_length=50)] | None = None
    agent_id: Name | None = None
    cursor: Annotated[str, Meta(max_length=512, pattern="^[A-Za-z0-9_-]+$")] | None = None


class GetParameters(Struct):
    include_messages: bool = True
    message_limit: Annotated[int, Meta(ge=1, le=500)] = 100
    message_offset: Offset = 0


class Attachment(Struct):
    name: Name
    type: Annotated[str, Meta(max_length=255)]
    url: Annotated[str, Meta(min_length=1, max_length=8192)]
    size: Annotated[int, Meta(ge=0, le=2**53 - 1)]


class MessageCreate(Struct):
    role: Literal["user", "assistant", "system"]
    content: Annotated[str, Meta(max_length=10_485_760)]
    attachments: Annotated[Documents, Meta(max_length=100)] | None = None
    metadata: Json | None = None
    run_id: UUID | None = None
    routing_decision: Json | None = None
    tool_calls: Annotated[Documents, Meta(max_length=1000)] | None = None

    def __post_init__(self) -> None:
        if self.attachments is not None:  # kept as they are, with properties of their own
            msgspec.convert(self.attachments, list[Attachment])


class Message(Struct):
    id: str
    conversation_id: str
    role: str
    content: str
    attachments: Any
    chat_attachments: Any
    metadata: Any
    run_id: str | UUID | None
    routing_decision: Any
    tool_calls: Any
    feedback: Any
    created_at: datetime
    parent_id: str | None
    sibling_index: int = 1
    sibling_count: int = 1
    active: bool = True
    parts: Any = None
    author: str | None = None
    version: int = 1
    edited_at: str | None = None

    def __post_init__(self) -> None:
        if self.parts is not None:  # the column `details`, which has all four
            details = _details.decode(self.parts)
            self.parts, self.author = details.parts or None, details.author
            self.version, self.edited_at = details.version, details.edited_at


class Details(Struct):
    parts: Raw = Raw()
    author: str | None = None
    version: int = 1
    edited_at: str | None = None


_details = msgspec.json.Decoder(Details)


class Preview(Struct):
    role: str
    content: str
    created_at: datetime


class Conversation(Struct, omit_defaults=True):
    id: str
    title: str
    user_id: str
    role: str
    shared_by: str | None
    source: str | None
    model: str | None
    agent_id: str | None
    is_private: bool
    metadata: Any
    archived: bool
    pinned: bool
    tags: list[str]
    message_count: int
    unread_count: int
    last_message: Preview | None
    created_at: datetime
    updated_at: datetime
    messages: list[Message] | None = None


class Page(Struct):
    conversations: list[Conversation]
    total: int
    limit: int
    offset: int
    next_cursor: str | None


class Settings(Struct):
    id: str | None
    user_id: str
    enabled_tools: list[str]
    enabled_agents: list[str]
    model: str | None
    temperature: float
    max_tokens: int
    created_at: datetime | None = None
    updated_at: datetime | None = None


_body = msgspec.json.Decoder(MessageCreate)


def create_app(config: Config) -> Starlette:
    database = Database(config, encode=lambda value: encode(value).decode(), decode=Raw)
    tokens = Tokens(config.secret)

    def user_of(request: Request) -> str:
        return tokens.user(request.headers.get("authorization"))

    async def list_conversations(request: Request) -> Response:
        user = user_of(request)
        given = msgspec.convert(dict(request.query_params), ListParameters, strict=False)
        page = await database.list_conversations(user, **msgspec.structs.asdict(given))
        conversations = [_conversation(row) for row in page.rows]
        return _json(Page(conversations, page.total, given.limit, given.offset, page.next_cursor))

    async def get_conversation(request: Request) -> Response:
        user = user_of(request)
        given = msgspec.convert(dict(request.query_params), GetParameters, strict=False)
        row, messages = await database.get_conversation(
            user,
            request.path_params["id"],
            messages=given.include_messages,
            limit=given.message_limit,
            offset=given.message_offset,
        )
        conversation = _conversation(row)
        if given.include_messages:
            conversation.messages = [Message(*message) for message in messages]
        return _json(conversation)

    async def create_message(request: Request) -> Response:
        user, conversation_id = user_of(request), request.path_params["id"]
        new = _body.decode(await request.body())
        id_, created_at, parent_id = await database.create_message(user, conversation_id, new)
        fields = msgspec.structs.asdict(new)
        message = Message(
            id=id_,
            conversation_id=str(conversation_id),
            created_at=created_at,
            parent_id=parent_id,
            chat_attachments=[],
            feedback=None,
            **fields,
        )
        return _json(message, 201, {"location": f"/messages/{id_}"})

    async def get_message(request: Request) -> Response:
        user = user_of(request)
        return _json(Message(*await database.get_message(user, request.path_params["id"])))

    async def get_settings(request: Request) -> Response:
        user = user_of(request)
        row = await database.get_settings(user)
        return _json(Settings(None, user, **DEFAULTS) if row is None else Settings(*row))

    return Starlette(
        routes=[
            Route("/conversations", list_conversations),
            Route("/conversations/{id:uuid}", get_conversation),
            Route("/conversations/{id:uuid}/messages", create_message, methods=["POST"]),
            Route("/messages/{id:uuid}", get_message),
            Route("/users/me/chat-settings", get_settings),
        ],
        exception_handlers={Refusal: _refuse, msgspec.DecodeError: _refuse_invalid},
        lifespan=database.lifespan,
    )


def _conversation(row: Row) -> Conversation:
    role, content, moment = row[13:16]
    preview = None if moment is None else Preview(role, content, moment)
    values = (*row[:3], "owner", None, *row[3:13], preview, *row[16:18])
    return Conversation(*values)


async def _refuse(_request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return Response(refusal.body, refusal.status, media_type=PROBLEM_TYPE)


async def _refuse_invalid(request: Request, error: Exception) -> Response:
    return await _refuse(request, Refusal(422, str(error)))


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encode(value), status, headers, "application/json")
