"""Defines the option types of the commands, and the options that they share."""

import re
from typing import Any
from urllib.parse import urlsplit

import click

from agent_api.settings import values

_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_SECONDS = 3650 * 86400


class Duration(click.ParamType[int]):
    """Seconds, written as a whole number and a unit: 90s, 30m, 8h, 7d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds, at most ten years."""
        match = _DURATION.fullmatch(str(value))
        if match is None or (seconds := int(match[1]) * _SECONDS[match[2]]) > _MAX_SECONDS:
            self.fail(f"{value!r} is not a duration: write 90s, 30m, 8h or 7d", param, ctx)
        return seconds


class UserId(click.ParamType[str]):
    """A user id, the `sub` of a token."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id unchanged."""
        if not 1 <= len(value) <= 255 or not value.isprintable():
            self.fail("must have 1 to 255 printable characters", param, ctx)
        return str(value)


class AgentId(click.ParamType[str]):
    """The `agent_id` of a run."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id unchanged."""
        if not 1 <= len(value) <= 255:
            self.fail("must have 1 to 255 characters", param, ctx)
        return str(value)


class Token(click.ParamType[str]):
    """A bearer token. Messages do not show it."""

    name = "token"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the token unchanged."""
        try:
            return values.token(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Url(click.ParamType[str]):
    """The URL of a server."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the URL unchanged."""
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            usable = False
        if not usable:
            self.fail(f"{value!r} is not the URL of a server: write http://host:port", param, ctx)
        return str(value)


class Host(click.ParamType[str]):
    """An address or host name. The server finds out whether it can listen there."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address unchanged."""
        if not value.strip():
            self.fail("must not be empty: give it a value or omit it", param, ctx)
        return str(value)


host = click.option(
    "--host", type=Host(), help="Address to listen on.  [default: 127.0.0.1, or AGENT_API_HOST]"
)
workers = click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Number of worker processes.  [default: 1, or AGENT_API_WORKERS]",
)
port = click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port to listen on.  [default: 8000, or AGENT_API_PORT]",
)
