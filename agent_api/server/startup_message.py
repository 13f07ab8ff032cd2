"""What a server prints before it serves: addresses, data, and how to get a token."""

import shlex
import sys
from collections.abc import Iterator

from agent_api import __version__
from agent_api.server.addresses import base_url
from agent_api.settings import Settings, default_data_dir


def server_lines(settings: Settings) -> Iterator[str]:
    """Yield the lines of `agent-api serve`."""
    yield from _address_lines(settings)
    if settings.metrics_port is not None:
        yield f"  Metrics  {base_url(settings.metrics_host, settings.metrics_port)}/metrics"
    if settings.database_url is None:
        yield f"  Data     {settings.data_dir}"
    else:
        yield "  Data     the database of AGENT_API_DATABASE_URL"
    if settings.can_sign:
        yield f"  Token    {token_command(settings, 'alice')}"
    else:
        yield "  Token    from your identity provider"


def mock_lines(settings: Settings) -> Iterator[str]:
    """Yield the lines of `agent-api mock`."""
    yield from _address_lines(settings)
    yield "  Data     the examples of the contract; nothing is kept"
    yield "  Token    any: Authorization: Bearer mock"


def _address_lines(settings: Settings) -> Iterator[str]:
    base = base_url(settings.host, settings.port)
    yield f"Agent API {__version__}"
    yield f"  API      {base}"
    yield f"  Docs     {base}/docs"


def token_command(settings: Settings, user_id: str) -> str:
    """Return the command that prints a token in another shell, for the same secret."""
    typed = sys.argv[0]
    name = "python -m agent_api" if typed.endswith("__main__.py") else typed
    command = f"{name} token --user {shlex.quote(user_id)}"
    if settings.jwt_secret is not None or settings.data_dir == default_data_dir():
        return command
    return f"AGENT_API_DATA_DIR={shlex.quote(str(settings.data_dir))} {command}"
