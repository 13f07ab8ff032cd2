"""An application for clients that reset the connection: python -m tests.hostile.resetting PORT."""

import sys
import time

import uvicorn
from starlette.types import Receive, Scope, Send

from agent_api.server.protocol import HttpProtocol

LENGTH = [(b"content-length", b"2")]


async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Start a response, and end it after the client has disconnected."""
    await send({"type": "http.response.start", "status": 200, "headers": LENGTH})
    await send({"type": "http.response.body", "body": b"{}", "more_body": True})
    time.sleep(1)  # noqa: ASYNC251  # so that the event loop does not notice
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), http=HttpProtocol, lifespan="off", loop="asyncio")
