"""The queries of the Python peers, on asyncpg."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from benchmarks.peers import statements
from benchmarks.peers.common import Config, Key, Refusal, read_cursor, write_cursor
from db.messages.message_body import title_from
from db.models import PREVIEW_CHARACTERS, new_id

Row = Any

# Generic plans, because PostgreSQL would otherwise plan some statements again each time.
SETTINGS = {"timezone": "UTC", "jit": "off", "plan_cache_mode": "force_generic_plan"}


class Page(NamedTuple):
    """Rows of conversations, the total of the list, and the cursor of the next page."""

    rows: list[Row]
    total: int
    next_cursor: str | None


class Database:
    """A pool of connections, each of which prepares every statement once.

    `encode` and `decode` convert the JSON columns to and from text.
    """

    def __init__(
        self, config: Config, *, encode: Callable[[Any], str], decode: Callable[[str], Any]
    ) -> None:
        self._config = config
        self._codec = {"encoder": encode, "decoder": decode}
        self._pool: Any = None

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        async with asyncpg.create_pool(
            self._config.database_url,
            min_size=self._config.pool_size,
            max_size=self._config.pool_size,
            init=self._init,
            reset=_keep,
            server_settings=SETTINGS,
        ) as self._pool:
            yield

    async def _init(self, connection: Any) -> None:
        await connection.set_type_codec("json", schema="pg_catalog", **self._codec)

    async def list_conversations(
        self,
        user: str,
        *,
        limit: int,
        offset: int,
        order_by: str,
        order: str,
        source: str | None,
        agent_id: str | None,
        cursor: str | None,
    ) -> Page:
        after = read_cursor(cursor)
        page, count = statements.LISTS[
            statements.list_key(order_by, order, source, agent_id, after)
        ]
        values = [value for value in (user, source, agent_id) if value is not None]
        rows = await self._pool.fetch(page, *values, limit + 1, offset, *(after or ())[:2])
        if after is not None:
            total = after.total
        elif rows:
            total = rows[0]["total"]
        else:
            total = await self._pool.fetchval(count, *values)
        if len(rows) <= limit:
            return Page(rows, total, None)
        last = rows[limit - 1]
        return Page(rows[:limit], total, write_cursor(Key(last[order_by], last["id"], total)))

    async def get_conversation(
        self, user: str, id_: UUID, *, messages: bool, limit: int, offset: int
    ) -> tuple[Row, list[Row]]:
        """Return a conversation and, if asked, its messages; raises Refusal."""
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(statements.GET_CONVERSATION, user, id_)
            if row is not None and messages:
                values = user, id_, limit, offset
                return row, await connection.fetch(statements.GET_MESSAGES, *values)
        return await self._found(row, "conversation", id_), []

    async def create_message(
        self, user: str, conversation_id: UUID, body: Any
    ) -> tuple[str, datetime, str | None]:
        """Store a message; return its id, time and parent. Raises Refusal."""
        id_ = new_id()
        try:
            row = await self._pool.fetchrow(
                statements.CREATE_MESSAGE,
                *(user, conversation_id, id_, body.role, body.content, body.attachments),
                *(body.metadata, body.run_id, body.routing_decision, body.tool_calls),
                title_from(body.content) if body.role == "user" else None,
                body.content[:PREVIEW_CHARACTERS],
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise Refusal(422, "run_id does not refer to one of your runs.") from error
        created_at, parent_id = await self._found(row, "conversation", conversation_id)
        return id_, created_at, parent_id

    async def get_message(self, user: str, id_: UUID) -> Row:
        row = await self._pool.fetchrow(statements.GET_MESSAGE, user, id_)
        return await self._found(row, "message", id_)

    async def get_settings(self, user: str) -> Row | None:
        return await self._pool.fetchrow(statements.GET_SETTINGS, user)

    async def _found(self, result: Any, resource: str, id_: UUID) -> Any:
        """Return the result of a statement, or raise the Refusal that explains why it has none."""
        if result is not None:
            return result
        if await self._pool.fetchval(statements.OWNER[resource], id_) is None:
            raise Refusal(404, f"No {resource} has this id.")
        raise Refusal(403, f"This {resource} belongs to another user.")


async def _keep(_connection: object) -> None:
    """Leave a connection as it is: asyncpg would otherwise send it statements that reset it."""
