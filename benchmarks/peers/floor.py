"""The floor: Starlette, SQL written by hand on psycopg2, and no validation of anything.

PostgreSQL makes the JSON of each row, as it does for our server; here its text goes out unread.
"""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import orjson
import psycopg2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.common import (
    PROBLEM_TYPE,
    Config,
    Refusal,
    Tokens,
    foreign,
    missing,
    read_cursor,
    write_cursor,
)
from benchmarks.peers.models import CONVERSATION, MESSAGE
from db.chat_settings import DEFAULTS
from db.models import PREVIEW_CHARACTERS, new_id
from handlers.messages import _title_from as name_from  # public ones are operations


def _time(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def _object(table: str, columns: Sequence[str], *more: str) -> str:
    values = {
        name: _time(f"{table}.{name}") if name.endswith("_at") else f"{table}.{name}"
        for name in columns
    }
    pairs = [f"'{name}', {value}" for name, value in values.items()]
    return f"json_build_object({', '.join([*pairs, *more])})::text"


_CONVERSATION = _object(
    "c",
    CONVERSATION,
    f"""'last_message', CASE WHEN c.last_message_at IS NOT NULL THEN json_build_object(
        'role', c.last_message_role, 'content', c.last_message_content,
        'created_at', {_time("c.last_message_at")}) END""",
)
_MESSAGE = _object("m", MESSAGE)
_SETTINGS = f"""SELECT json_build_object(
    'id', s.id, 'user_id', s.user_id, 'enabled_tools', s.enabled_tools,
    'enabled_agents', s.enabled_agents, 'model', s.model, 'temperature', s.temperature,
    'max_tokens', s.max_tokens, 'created_at', {_time("s.created_at")},
    'updated_at', {_time("s.updated_at")})::text
    FROM chat_settings s WHERE s.user_id = %s"""
_GET_MESSAGE = f"""SELECT {_MESSAGE} FROM messages m
    WHERE m.id = %s AND m.user_id = %s"""
_GET_CONVERSATION = f"""SELECT {_CONVERSATION} FROM conversations c
    WHERE c.id = %s AND c.user_id = %s"""
_GET_WITH_MESSAGES = f"""SELECT {_CONVERSATION}, (
        SELECT string_agg({_MESSAGE}, ',') FROM (
            SELECT * FROM messages WHERE conversation_id = %s ORDER BY position LIMIT %s OFFSET %s
        ) m)
    FROM conversations c WHERE c.id = %s AND c.user_id = %s"""
_CREATE = """WITH moved AS (
        UPDATE conversations c SET
            message_count = message_count + 1, last_position = last_position + 1,
            last_message_role = %(role)s, last_message_content = %(preview)s,
            last_message_at = greatest(statement_timestamp(), updated_at),
            updated_at = greatest(statement_timestamp(), updated_at),
            title = CASE WHEN auto_title THEN coalesce(%(title)s, title) ELSE title END,
            auto_title = auto_title AND %(title)s IS NULL
        WHERE id = %(this)s AND user_id = %(user)s
            AND (%(run_id)s IS NULL OR EXISTS (
                SELECT FROM runs WHERE id = %(run_id)s::uuid AND created_by = %(user)s))
        RETURNING id, last_position, updated_at
    )
    INSERT INTO messages AS m (id, conversation_id, position, role, content, attachments, metadata,
        run_id, routing_decision, tool_calls, created_at)
    SELECT %(id)s::uuid, moved.id, last_position, %(role)s::message_role, %(content)s,
        %(attachments)s::jsonb, %(metadata)s::jsonb, %(run_id)s::uuid,
        %(routing_decision)s::jsonb, %(tool_calls)s::jsonb, updated_at
    FROM moved RETURNING """
_CREATE += _MESSAGE
_OWNER = {
    "conversation": "SELECT user_id, message_count FROM conversations WHERE id = %s",
    "message": "SELECT user_id FROM messages WHERE id = %s",
}


class Database:
    """A connection for each thread: a pool that nobody has to ask."""

    def __init__(self, config: Config) -> None:
        self._url = config.database_url
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(config.pool_size, initializer=self._connect)

    def _connect(self) -> None:
        connection = psycopg2.connect(self._url, options="-c timezone=UTC -c jit=off")
        connection.autocommit = True
        self._own.connection = connection

    async def run(self, call: Callable[..., str], *arguments: Any) -> str:
        """Run a function in a thread, with a cursor on its connection."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._call, call, arguments)

    def _call(self, call: Callable[..., str], arguments: tuple[Any, ...]) -> str:
        with self._own.connection.cursor() as cursor:
            return call(cursor, *arguments)

    def close(self) -> None:
        self._threads.shutdown()


@functools.cache
def _list_conversations(
    order_by: str, order: str, *, by_source: bool, by_agent: bool, resumed: bool
) -> tuple[str, str]:
    where = "c.user_id = %(user)s"
    where += " AND c.source = %(source)s" if by_source else ""
    where += " AND c.agent_id = %(agent_id)s" if by_agent else ""
    total = f"SELECT count(*) FROM conversations c WHERE {where}"
    if resumed:
        after = ">" if order == "asc" else "<"
        where += f" AND (c.{order_by}, c.id) {after} (%(time)s::timestamptz, %(id)s::uuid)"
    count = "%(total)s" if resumed else f"({total})"
    rows = f"""SELECT {_CONVERSATION}, {_time(f"c.{order_by}")}, c.id::text, {count}
        FROM conversations c WHERE {where}
        ORDER BY c.{order_by} {order}, c.id {order} LIMIT %(limit)s OFFSET %(offset)s"""
    return rows, total


@functools.cache
def _list_messages(order: str, *, resumed: bool) -> str:
    after = f"AND m.position {'>' if order == 'asc' else '<'} %(after)s" if resumed else ""
    return f"""SELECT {_MESSAGE}, m.position, c.message_count
        FROM messages m JOIN conversations c ON c.id = m.conversation_id AND c.user_id = %(user)s
        WHERE m.conversation_id = %(this)s {after}
        ORDER BY m.position {order} LIMIT %(limit)s OFFSET %(offset)s"""


def _page(name: str, rows: list[Any], total: int, limit: int, offset: int, cursor: str) -> str:
    """The JSON of a page; `cursor` is the one that another page would have."""
    items = ",".join([row[0] for row in rows[:limit]])
    following = f'"{cursor}"' if len(rows) > limit else "null"
    return (
        f'{{"{name}":[{items}],"total":{total},"limit":{limit},"offset":{offset},'
        f'"next_cursor":{following}}}'
    )


def list_conversations(cursor: Any, user: str, given: Any) -> str:
    limit, offset = int(given.get("limit", 50)), int(given.get("offset", 0))
    order_by, order = given.get("order_by", "created_at"), given.get("order", "desc")
    source, agent_id = given.get("source"), given.get("agent_id")
    listing = f"conversations {order_by} {order}", user
    after = read_cursor(given.get("cursor"), listing)
    page, total = _list_conversations(
        order_by,
        order,
        by_source=source is not None,
        by_agent=agent_id is not None,
        resumed=after is not None,
    )
    values = {"user": user, "source": source, "agent_id": agent_id}
    values |= {"limit": limit + 1, "offset": offset}
    if after is not None:
        values["time"], values["id"], values["total"] = after
    cursor.execute(page, values)
    rows = cursor.fetchall()
    if not rows and after is not None:
        return _page("conversations", rows, values["total"], limit, offset, "")
    if not rows:
        cursor.execute(total, values)
        (count,) = cursor.fetchone()
        return _page("conversations", rows, count, limit, offset, "")
    following = write_cursor(listing, list(rows[limit - 1][1:4])) if len(rows) > limit else ""
    return _page("conversations", rows, rows[0][3], limit, offset, following)


def get_conversation(cursor: Any, user: str, this: str, given: Any) -> str:
    if given.get("include_messages") == "false":
        cursor.execute(_GET_CONVERSATION, (this, user))
        row = cursor.fetchone()
    else:
        cut = int(given.get("message_limit", 100)), int(given.get("message_offset", 0))
        cursor.execute(_GET_WITH_MESSAGES, (this, *cut, this, user))
        row = cursor.fetchone()
    if row is None:
        raise _refusal(cursor, "conversation", this)
    conversation: str = row[0]
    if len(row) == 1:
        return conversation
    return f'{conversation[:-1]},"messages":[{row[1] or ""}]}}'


def list_messages(cursor: Any, user: str, this: str, given: Any) -> str:
    limit, offset = int(given.get("limit", 100)), int(given.get("offset", 0))
    order = given.get("order", "asc")
    listing = f"messages of {this} {order}", user
    after = read_cursor(given.get("cursor"), listing)
    values: dict[str, Any] = {"this": this, "user": user, "limit": limit + 1, "offset": offset}
    if after is not None:
        (values["after"],) = after
    cursor.execute(_list_messages(order, resumed=after is not None), values)
    rows = cursor.fetchall()
    if not rows:
        cursor.execute(_OWNER["conversation"], (this,))
        owner = cursor.fetchone()
        if owner is None or owner[0] != user:
            raise missing("conversation") if owner is None else foreign("conversation")
        return _page("messages", rows, owner[1], limit, offset, "")
    following = write_cursor(listing, [rows[limit - 1][1]]) if len(rows) > limit else ""
    return _page("messages", rows, rows[0][2], limit, offset, following)


def create_message(cursor: Any, user: str, this: str, id_: str, raw: bytes) -> str:
    body = orjson.loads(raw)
    role, content = body["role"], body["content"]
    values = {
        "user": user,
        "this": this,
        "id": id_,
        "role": role,
        "content": content,
        "preview": content[:PREVIEW_CHARACTERS],
        "title": name_from(content) if role == "user" else None,
        "run_id": body.get("run_id"),
    }
    for name in ("attachments", "metadata", "routing_decision", "tool_calls"):
        value = body.get(name)
        values[name] = None if value is None else orjson.dumps(value).decode()
    cursor.execute(_CREATE, values)
    row = cursor.fetchone()
    if row is None:
        cursor.execute(_OWNER["conversation"], (this,))
        owner = cursor.fetchone()
        if owner is not None and owner[0] == user:
            raise Refusal(422, "The run is not the user's.")
        raise missing("conversation") if owner is None else foreign("conversation")
    message: str = row[0]
    return message


def get_message(cursor: Any, user: str, this: str) -> str:
    cursor.execute(_GET_MESSAGE, (this, user))
    row = cursor.fetchone()
    if row is None:
        raise _refusal(cursor, "message", this)
    message: str = row[0]
    return message


def get_settings(cursor: Any, user: str) -> str:
    cursor.execute(_SETTINGS, (user,))
    row = cursor.fetchone()
    if row is None:
        unsaved = dict.fromkeys(("id", "created_at", "updated_at"))
        return orjson.dumps({**unsaved, "user_id": user, **DEFAULTS}).decode()
    settings: str = row[0]
    return settings


def _refusal(cursor: Any, resource: str, this: str) -> Refusal:
    cursor.execute(_OWNER[resource], (this,))
    return missing(resource) if cursor.fetchone() is None else foreign(resource)


def create_app(config: Config) -> Starlette:
    database = Database(config)
    tokens = Tokens(config.secret)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        database.close()

    def user_of(request: Request) -> str:
        return tokens.user(request.headers.get("authorization"))

    async def conversations(request: Request) -> Response:
        call = list_conversations, user_of(request), request.query_params
        return _json(await database.run(*call))

    async def conversation(request: Request) -> Response:
        this = request.path_params["id"]
        call = get_conversation, user_of(request), this, request.query_params
        return _json(await database.run(*call))

    async def messages(request: Request) -> Response:
        user, this = user_of(request), request.path_params["id"]
        if request.method == "POST":
            id_ = new_id()
            body = await request.body()
            message = await database.run(create_message, user, this, id_, body)
            return _json(message, 201, {"location": f"/messages/{id_}"})
        return _json(await database.run(list_messages, user, this, request.query_params))

    async def message(request: Request) -> Response:
        call = get_message, user_of(request), request.path_params["id"]
        return _json(await database.run(*call))

    async def settings(request: Request) -> Response:
        return _json(await database.run(get_settings, user_of(request)))

    async def refuse(_request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, Refusal)
        return Response(refusal.body(), refusal.status, media_type=PROBLEM_TYPE)

    return Starlette(
        routes=[
            Route("/conversations", conversations),
            Route("/conversations/{id}", conversation),
            Route("/conversations/{id}/messages", messages, methods=["GET", "POST"]),
            Route("/messages/{id}", message),
            Route("/users/me/chat-settings", settings),
        ],
        exception_handlers={Refusal: refuse},
        lifespan=lifespan,
    )


def _json(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers, "application/json")
