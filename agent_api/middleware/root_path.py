"""Serves the API below a path such as /api, whether or not the proxy removes that path."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_api.settings import ConfigError


def refuse_collision(root_path: str, paths: Iterable[str]) -> None:
    """Raise ConfigError if a path of the API begins with the same segment as the root path.

    Such a request could be meant with and without the root path.
    """
    first = _first_segment(root_path)
    if first in map(_first_segment, paths):
        raise ConfigError(
            f"AGENT_API_ROOT_PATH {root_path} collides with /{first} of the API: choose another"
        )


def _first_segment(path: str) -> str:
    return path.split("/")[1]


class RootPathMiddleware:
    """Removes the root path from requests, and adds it to `Location`."""

    def __init__(self, app: ASGIApp, *, root_path: str) -> None:
        self.app = app
        self._prefix = f"{root_path}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        # Not in a copy of the scope: others exchange values in it.
        if f"{scope['path']}/".startswith(self._prefix):
            scope["path"] = scope["path"][len(self._prefix) - 1 :] or "/"

        async def send_below_root(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, self._below_root(value) if name == b"location" else value)
                    for name, value in message["headers"]
                ]
            await send(message)

        await self.app(scope, receive, send_below_root)

    def _below_root(self, location: bytes) -> bytes:
        return self._prefix.encode() + location.removeprefix(b"/")
