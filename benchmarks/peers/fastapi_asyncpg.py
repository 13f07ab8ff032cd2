"""FastAPI with pydantic models on asyncpg, without SQLAlchemy."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Depends, FastAPI, Query, Request, Response

from benchmarks.peers import models
from benchmarks.peers.common import PROBLEM_TYPE, Config, Refusal, Tokens
from benchmarks.peers.database import Database, Row
from db.chat_settings import DEFAULTS

Answer = dict[str, Any]

_CONVERSATION = tuple(models.Conversation.__annotations__)
_MESSAGE = tuple(models.Message.__annotations__)[:-4]
_UNEDITED: Answer = {"parts": None, "author": None, "version": 1, "edited_at": None}
"""What the column `details` contains of a message, if it is null."""


def create_app(config: Config) -> FastAPI:
    database = Database(
        config, encode=lambda value: orjson.dumps(value).decode(), decode=orjson.loads
    )
    tokens = Tokens(config.secret)
    app = FastAPI(lifespan=database.lifespan)

    async def user_of(request: Request) -> str:
        return tokens.user(request.headers.get("authorization"))

    User = Annotated[str, Depends(user_of)]  # noqa: N806  # a type, whose name FastAPI's documentation writes so

    @app.exception_handler(Refusal)
    async def refuse(_request: Request, refusal: Refusal) -> Response:
        return Response(refusal.body, refusal.status, media_type=PROBLEM_TYPE)

    @app.get("/conversations", response_model=models.ConversationPage)
    async def list_conversations(
        user: User, given: Annotated[models.ListParameters, Query()]
    ) -> Answer:
        page = await database.list_conversations(user, **dict(given))
        return {
            "conversations": [_conversation(row) for row in page.rows],
            "total": page.total,
            "limit": given.limit,
            "offset": given.offset,
            "next_cursor": page.next_cursor,
        }

    @app.get("/conversations/{conversation_id}", response_model=models.ConversationWithMessages)
    async def get_conversation(
        user: User, conversation_id: UUID, given: Annotated[models.GetParameters, Query()]
    ) -> Answer:
        row, messages = await database.get_conversation(
            user,
            conversation_id,
            messages=given.include_messages,
            limit=given.message_limit,
            offset=given.message_offset,
        )
        conversation = _conversation(row)
        if given.include_messages:
            conversation["messages"] = [_message(message) for message in messages]
        return conversation

    @app.post(
        "/conversations/{conversation_id}/messages", status_code=201, response_model=models.Message
    )
    async def create_message(
        user: User, conversation_id: UUID, body: models.MessageCreate, response: Response
    ) -> Answer:
        id_, created_at, parent_id = await database.create_message(user, conversation_id, body)
        response.headers["location"] = f"/messages/{id_}"
        run_id = None if body.run_id is None else str(body.run_id)
        ids = {"id": id_, "conversation_id": str(conversation_id), "run_id": run_id}
        place = {"parent_id": parent_id, "sibling_index": 1, "sibling_count": 1, "active": True}
        more: dict[str, Any] = {"chat_attachments": [], "feedback": None, "created_at": created_at}
        return {**dict(body), **ids, **more} | _UNEDITED | place

    @app.get("/messages/{message_id}", response_model=models.Message)
    async def get_message(user: User, message_id: UUID) -> Answer:
        return _message(await database.get_message(user, message_id))

    @app.get("/users/me/chat-settings", response_model=models.ChatSettings)
    async def get_settings(user: User) -> Answer:
        row = await database.get_settings(user)
        if row is not None:
            return dict(row)
        return {**dict.fromkeys(("id", "created_at", "updated_at")), "user_id": user, **DEFAULTS}

    return app


def _conversation(row: Row) -> Answer:
    role, content, moment = row[13:16]
    preview = None if moment is None else {"role": role, "content": content, "created_at": moment}
    values = (*row[:3], "owner", None, *row[3:13], preview, *row[16:18])
    return dict(zip(_CONVERSATION, values, strict=True))


def _message(row: Row) -> Answer:
    *columns, details = row
    message = dict(zip(_MESSAGE, columns, strict=True))  # takes half as long as dict(row)
    return message | _UNEDITED | (details or {})
