"""Health checks: whether the process responds, and whether it can do its work."""

import migrations
from agent_api.http.problems import Unavailable
from agent_api.http.responses import Response, ok
from agent_api.http.single_flight import SingleFlight
from db import engine
from db.schema import readiness

# Readiness needs no token and opens its own database connection, so limit it to one at a time.
_readiness = SingleFlight(readiness.check)


async def get_health() -> Response:
    """Respond without the database."""
    return ok({"status": "ok"})


async def get_readiness() -> Response:
    """Use a separate connection, so that a full pool cannot delay it."""
    reason = await _readiness(engine.url(), migrations.FOLDER)
    if reason is not None:
        raise Unavailable(reason)
    return ok({"status": "ready"})
