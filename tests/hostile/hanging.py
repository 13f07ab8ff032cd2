"""Two workers with an application that can hang: python -m tests.hostile.hanging PORT."""

import os
import sys
import time

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from agent_api.server.http.protocol import HttpProtocol
from agent_api.server.workers import Workers


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Return the worker's process id; at /hang, block its event loop."""
    if Request(scope).url.path == "/hang":
        time.sleep(600)  # noqa: ASYNC251  # on purpose
    await PlainTextResponse(str(os.getpid()))(scope, receive, send)


if __name__ == "__main__":
    config = uvicorn.Config(
        "tests.hostile.hanging:app",
        port=int(sys.argv[1]),
        http=HttpProtocol,
        lifespan="off",
        workers=2,
        timeout_graceful_shutdown=2,
    )
    Workers(config, config.bind_socket(), 30).run()
