"""FastAPI streams that poll: each reads its run's row every 500 ms, and then what is new."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from benchmarks.peers.common import Config, Tokens
from benchmarks.peers.database import SETTINGS

POLL_SECONDS = 0.5
READ_RUN = "SELECT last_sequence, finished_at FROM runs WHERE id = $2 AND created_by = $1"
READ_EVENTS = """SELECT sequence, type, data FROM run_events
    WHERE run_id = $2 AND user_id = $1 AND sequence > $3 ORDER BY sequence LIMIT 500"""


def create_app(config: Config) -> FastAPI:
    tokens = Tokens(config.secret)
    pool: Any = None

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        nonlocal pool
        async with asyncpg.create_pool(
            config.database_url,
            min_size=config.pool_size,
            max_size=config.pool_size,
            reset=_keep,
            server_settings=SETTINGS,
        ) as pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/users/me/chat-settings")
    async def is_ready() -> None:
        """Answer what the benchmark asks to learn that a server has started."""

    @app.get("/runs/{run_id}/events/stream")
    async def stream_run_events(
        run_id: UUID, request: Request, after: int = 0
    ) -> StreamingResponse:
        user = tokens.user(request.headers.get("authorization"))
        return StreamingResponse(frames(user, run_id, after), media_type="text/event-stream")

    async def frames(user: str, run_id: UUID, position: int) -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        while True:
            last, finished_at = await pool.fetchrow(READ_RUN, user, run_id)
            if last > position:
                rows = await pool.fetch(READ_EVENTS, user, run_id, position)
                position = rows[-1]["sequence"]
                yield "".join(
                    f"id: {sequence}\nevent: {kind}\ndata: {data}\n\n"
                    for sequence, kind, data in rows
                )
            if finished_at is not None:
                return
            await asyncio.sleep(POLL_SECONDS)

    return app


async def _keep(_connection: object) -> None:
    """Leave a connection as it is: asyncpg would otherwise send it statements that reset it."""
