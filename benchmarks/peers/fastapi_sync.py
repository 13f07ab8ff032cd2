"""FastAPI with plain functions, SQLAlchemy Core on psycopg2, and pydantic response models."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import anyio.to_thread
import orjson
import sqlalchemy as sa
from fastapi import Depends, FastAPI, Request, Response

from benchmarks.peers import answers, models, statements
from benchmarks.peers.answers import Answer
from benchmarks.peers.common import PROBLEM_TYPE, Config, Refusal, Tokens, read_cursor


def create_app(config: Config) -> FastAPI:
    engine = sa.create_engine(
        sa.make_url(config.database_url).set(drivername="postgresql+psycopg2"),
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_size=config.pool_size,
        max_overflow=0,
        pool_use_lifo=True,
        connect_args={"options": "-c timezone=UTC -c jit=off"},
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        use_native_hstore=False,
    )
    tokens = Tokens(config.secret)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # More threads than connections would only wait for one.
        anyio.to_thread.current_default_thread_limiter().total_tokens = config.pool_size
        yield
        engine.dispose()

    # A coroutine, so that it does not take a thread of its own.
    async def user_of(request: Request) -> str:
        return tokens.user(request.headers.get("authorization"))

    app = FastAPI(lifespan=lifespan)
    User = Annotated[str, Depends(user_of)]  # noqa: N806 (a type)

    @app.exception_handler(Refusal)
    async def refuse(_request: Request, refusal: Refusal) -> Response:
        return Response(refusal.body(), refusal.status, media_type=PROBLEM_TYPE)

    @app.get("/conversations", response_model=models.ConversationPage)
    def list_conversations(
        user: User,
        limit: models.Limit = 50,
        offset: models.Offset = 0,
        order_by: models.OrderBy = "created_at",
        order: models.Order = "desc",
        source: models.Source | None = None,
        agent_id: models.Name | None = None,
        cursor: models.Cursor | None = None,
    ) -> Answer:
        listing = f"conversations {order_by} {order}", user
        after = read_cursor(cursor, listing)
        page, total = statements.list_conversations(
            order_by,
            order,
            by_source=source is not None,
            by_agent=agent_id is not None,
            resumed=after is not None,
        )
        values: dict[str, Any] = {"user": user, "limit": limit + 1, "offset": offset}
        values |= {"source": source, "agent_id": agent_id}
        if after is not None:
            values |= {"after_time": datetime.fromisoformat(after[0]), "after_id": after[1]}
        with engine.connect() as connection:
            rows = connection.execute(page, values).all()
            if after is not None:
                count = after[2]
            else:
                count = rows[0][-1] if rows else connection.execute(total, values).scalar_one()
        cut = {"limit": limit, "offset": offset}
        return answers.conversation_page(rows, count, listing=listing, order_by=order_by, **cut)

    @app.get("/conversations/{conversation_id}", response_model=models.ConversationWithMessages)
    def get_conversation(
        user: User,
        conversation_id: UUID,
        include_messages: bool = True,
        message_limit: models.MessageLimit = 100,
        message_offset: models.Offset = 0,
    ) -> Answer:
        values = {"this": str(conversation_id), "user": user}
        with engine.connect() as connection:
            row = connection.execute(statements.get_conversation, values).one_or_none()
            if row is None:
                owner = connection.execute(statements.owner["conversation"], values).one_or_none()
                raise answers.refusal("conversation", owner)
            conversation = answers.conversation(row)
            if include_messages:
                cut = {"limit": message_limit, "offset": message_offset}
                rows = connection.execute(
                    statements.list_messages("asc", resumed=False), values | cut
                ).all()
                conversation["messages"] = [answers.message(row) for row in rows]
        return conversation

    @app.get("/conversations/{conversation_id}/messages", response_model=models.MessagePage)
    def list_messages(
        user: User,
        conversation_id: UUID,
        limit: models.MessageLimit = 100,
        offset: models.Offset = 0,
        order: models.Order = "asc",
        cursor: models.Cursor | None = None,
    ) -> Answer:
        this = str(conversation_id)
        listing = f"messages of {this} {order}", user
        after = read_cursor(cursor, listing)
        values: dict[str, Any] = {"this": this, "user": user, "limit": limit + 1, "offset": offset}
        if after is not None:
            values["after_position"] = after[0]
        page = statements.list_own_messages(order, resumed=after is not None)
        with engine.connect() as connection:
            rows = connection.execute(page, values).all()
            if rows:
                total = rows[0][-1]
            else:
                found = connection.execute(statements.owner["conversation"], values).one_or_none()
                total = answers.total(found, user)
        return answers.message_page(rows, total, limit=limit, offset=offset, listing=listing)

    @app.post(
        "/conversations/{conversation_id}/messages", status_code=201, response_model=models.Message
    )
    def create_message(
        user: User, conversation_id: UUID, body: models.MessageCreate, response: Response
    ) -> Answer:
        message = answers.new_message(str(conversation_id), body)
        values = answers.to_insert(message, user)
        with engine.connect() as connection:
            created_at = connection.execute(statements.create_message, values).scalar_one_or_none()
            if created_at is None:
                owner = connection.execute(statements.owner["conversation"], values).one_or_none()
                raise answers.refusal_to_insert(owner, user)
        response.headers["location"] = f"/messages/{message['id']}"
        return {**message, "created_at": created_at}

    @app.get("/messages/{message_id}", response_model=models.Message)
    def get_message(user: User, message_id: UUID) -> Answer:
        values = {"this": str(message_id), "user": user}
        with engine.connect() as connection:
            row = connection.execute(statements.get_message, values).one_or_none()
            if row is None:
                owner = connection.execute(statements.owner["message"], values).one_or_none()
                raise answers.refusal("message", owner)
        return answers.message(row)

    @app.get("/users/me/chat-settings", response_model=models.ChatSettings)
    def get_settings(user: User) -> Answer:
        with engine.connect() as connection:
            row = connection.execute(statements.get_settings, {"user": user}).one_or_none()
        return answers.settings(row, user)

    return app
