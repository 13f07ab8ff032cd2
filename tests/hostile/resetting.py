"""An application for clients that act before the event loop notices.

Start it with python -m tests.hostile.resetting PORT LOOP.
"""

import sys
import time

import uvicorn
from starlette.types import Receive, Scope, Send

from agent_api.server.http.protocol import HttpProtocol

LENGTH = [(b"content-length", b"2")]


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Start a response, and end it after the client has acted; end that to HEAD before."""
    ends_later = scope["method"] != "HEAD"
    await send({"type": "http.response.start", "status": 200, "headers": LENGTH})
    await send({"type": "http.response.body", "body": b"{}", "more_body": ends_later})
    time.sleep(1)  # noqa: ASYNC251  # so that the event loop does not notice
    if ends_later:
        await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    port, loop = sys.argv[1:]
    uvicorn.run(app, port=int(port), http=HttpProtocol, lifespan="off", loop=loop)
