"""Whether the process answers, and whether it can do its work."""

import asyncio

from agent_api.problems import Unavailable
from agent_api.responses import Response, ok
from db import engine, schema


async def get_health() -> Response:
    """On the event loop: it answers while every thread waits for the database."""
    return ok({"status": "ok"})


async def get_readiness() -> Response:
    """On a thread and a connection of its own, so that a full pool cannot hide the state."""
    reason = await asyncio.to_thread(schema.readiness, engine.url())
    if reason is not None:
        raise Unavailable(reason)
    return ok({"status": "ready"})
