"""Whether the process answers, and whether it can do its work."""

import migrations
from agent_api.http.problems import Unavailable
from agent_api.http.responses import Response, ok
from agent_api.http.shared_call import SharedCall
from db import engine
from db.schema import readiness

# Nobody needs a token to ask, and it takes a connection beside the pool: one at a time.
_readiness = SharedCall(readiness.check)


async def get_health() -> Response:
    """On the event loop: it answers while every thread waits for the database."""
    return ok({"status": "ok"})


async def get_readiness() -> Response:
    """On a thread and a connection of its own, so that a full pool cannot hide the state."""
    reason = await _readiness(engine.url(), migrations.FOLDER)
    if reason is not None:
        raise Unavailable(reason)
    return ok({"status": "ready"})
