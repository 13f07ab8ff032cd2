"""What a server prints before it serves: addresses, data, and how to get a token."""

import shlex
import sys
from collections.abc import Iterator

import click

from agent_api import __version__
from agent_api.auth import signing
from agent_api.server.addresses import base_url
from agent_api.settings import Settings, default_data_dir, is_loopback
from db.errors import Failure
from db.inspection import probe, server

USER = "alice"
"""The user whom the page's link signs in. The command that prints a token has the same one."""
HOURS = 8
"""Hours for which the page's link is valid."""


def server_lines(settings: Settings, database: str, *, echoes: bool) -> Iterator[str]:
    """Yield the lines of `agent-api serve`. `database` describes where the data is."""
    base = base_url(settings.host, settings.port)
    yield from _title()
    yield from _page_lines(settings, base)
    yield from _address_lines(base)
    if settings.metrics_port is not None:
        yield _line("Metrics", f"{base_url(settings.metrics_host, settings.metrics_port)}/metrics")
    yield _line("Data", database)
    yield _line("Workers", str(settings.workers))
    if settings.can_sign:
        yield _line("Token", token_command(settings, USER))
        agent = "echo, which repeats what you say" if echoes else _echo_command(settings, base)
        yield _line("Agent", agent)
    else:
        yield _line("Token", "from your identity provider")
    yield ""
    yield "Press Ctrl-C to stop."


def mock_lines(settings: Settings) -> Iterator[str]:
    """Yield the lines of `agent-api mock`."""
    yield from _title()
    yield from _address_lines(base_url(settings.host, settings.port))
    yield _line("Data", "the examples of the contract; nothing is kept")
    yield _line("Token", "any: Authorization: Bearer mock")
    yield ""
    yield "Press Ctrl-C to stop."


def describe_database(settings: Settings, url: str, *, answers: bool) -> str:
    """Return where the data is, and the version of the server if it `answers`."""
    place = str(settings.data_dir if settings.database_url is None else probe.place(url))
    if not answers:
        return place
    try:
        with probe.connected(url) as connection:
            return f"{place} (PostgreSQL {server.version(connection)})"
    except Failure:  # it became unreachable after the check of its schema; requests will report it
        return place


def token_command(settings: Settings, user_id: str) -> str:
    """Return the command that prints a token in another shell, for the same secret."""
    return _command(settings, f"token --user {shlex.quote(user_id)}")


def _title() -> Iterator[str]:
    yield click.style(f"Agent API {__version__}", bold=True)
    yield ""


def _page_lines(settings: Settings, base: str) -> Iterator[str]:
    """Yield the link to the page, on a developer's terminal with a token.

    A token must not get into the files of a service's output. So it needs a terminal, and a host
    that only this machine can reach: container engines also write what a terminal shows to a log.
    """
    is_developers = sys.stdout.isatty() and is_loopback(settings.host)
    if settings.can_sign and is_developers:
        token = signing.sign(settings, USER, seconds=HOURS * 3600)
        yield _line("Page", f"{base}/#token={token}")
        yield _line("", f"This link signs you in as {USER} for {HOURS} hours: do not share it.")
    else:
        yield _line("Page", f"{base}/")


def _address_lines(base: str) -> Iterator[str]:
    yield _line("API", base)
    yield _line("Docs", f"{base}/docs")


def _line(label: str, text: str) -> str:
    return f"  {label:<9}{text}"


def _echo_command(settings: Settings, base: str) -> str:
    is_default = base == base_url(Settings().host, Settings().port)
    return _command(settings, "worker --echo" + ("" if is_default else f" --url {base}"))


def _command(settings: Settings, arguments: str) -> str:
    typed = sys.argv[0]
    name = "python -m agent_api" if typed.endswith("__main__.py") else typed
    command = f"{name} {arguments}"
    if settings.jwt_secret is not None or settings.data_dir == default_data_dir():
        return command
    return f"AGENT_API_DATA_DIR={shlex.quote(str(settings.data_dir))} {command}"
