"""The command line: agent-api serve, migrate, token, demo, routes, version."""

import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click
import jwt
import uvicorn
from connexion.spec import Specification

from agent_api import __version__, app, demo, log, secret
from agent_api.config import ConfigError, Settings
from agent_api.contract import compile_operations
from agent_api.operation import ContractError
from agent_api.resolver import HandlerResolver, collect_handlers
from agent_api.spec import load_contract
from db import embedded, engine, errors, schema

GRACE_SECONDS = 10
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[int]):
    """Seconds, written as a whole number and a unit: 90s, 30m, 8h, 7d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds, at most ten years."""
        match = _DURATION.fullmatch(str(value))
        if match is None or int(match[1]) * _SECONDS[match[2]] > 3650 * 86400:
            self.fail(f"{value!r} is no duration: write 90s, 30m, 8h or 7d", param, ctx)
        return int(match[1]) * _SECONDS[match[2]]


class UserId(click.ParamType[str]):
    """What a token's `sub` may be."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id as it is."""
        if not 1 <= len(value) <= 255 or not value.isprintable():
            self.fail("a user id has 1 to 255 printable characters", param, ctx)
        return str(value)


def main() -> None:
    """Run the command line; an error is one line, and its exit code 2 for unusable input."""
    try:
        commands(prog_name="agent-api")
    except ConfigError as error:
        _fail(str(error), 2)
    except (embedded.EmbeddedError, ContractError) as error:
        _fail(str(error), 1)
    except errors.Failure as error:
        # The driver's own first line says which host, or which user; it never holds a password.
        cause = str(getattr(error.__cause__, "orig", "")).partition("\n")[0]
        _fail(f"{error}: {cause}" if cause else str(error), 1)


def _fail(message: str, code: int) -> None:
    click.echo(f"agent-api: {message}", err=True)
    sys.exit(code)


def _progress(text: str) -> None:
    click.echo(f"  {text}", err=True)


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """Yield the URL of the database, the embedded one started for as long as the block runs."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    server = embedded.attach(settings.data_dir, on_progress=_progress)
    try:
        yield server.url
    finally:
        server.close()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def commands() -> None:
    """Keep the conversations of an agent chat product behind an HTTP API.

    Settings are environment variables that start with AGENT_API_; the README lists them. Without
    any, the server keeps its data in an embedded PostgreSQL in your data folder.
    """


@commands.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1, or AGENT_API_HOST]")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port to listen on.  [default: 8000, or AGENT_API_PORT]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Number of processes that serve.  [default: 1, or AGENT_API_WORKERS]",
)
@click.option("--reload", is_flag=True, help="Start anew when the code changes, for development.")
def serve(host: str | None, port: int | None, workers: int | None, reload: bool) -> None:
    """Serve the API until Ctrl-C or SIGTERM.

    The embedded database is migrated first. An external one is left as it is: run `agent-api
    migrate` before you serve a new version.
    """
    settings = Settings.load(host=host, port=port, workers=workers)
    if reload and settings.workers > 1:
        raise click.UsageError("--reload serves with one process: leave --workers out")
    log.configure(settings)
    if not settings.has_key:
        secret.load_or_create(settings.data_dir)
    _check_port(settings)
    with _database(settings) as url:
        if settings.database_url is None:
            schema.upgrade(url, on_step=_progress)
        elif (reason := schema.readiness(url)) is not None:
            _progress(f"Not ready yet: {reason}")
        in_children = reload or settings.workers > 1
        application = (
            "agent_api.app:create_app_from_environment" if in_children else app.create_app(settings)
        )
        _say_where(settings)
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn stops on them, then sends them to itself again: without this, a server that
            # was asked to stop would seem to have crashed.
            signal.signal(number, _ignore_signal)
        uvicorn.run(
            application,
            factory=in_children,
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            reload=reload,
            lifespan="on",  # "auto" hides an error at the start: every request is then a 500
            access_log=False,
            log_config=None,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )


def _ignore_signal(_number: int, _frame: FrameType | None) -> None:
    pass


def _check_port(settings: Settings) -> None:
    """Find out before the database starts whether the address can be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}. "
            "Choose another with --host and --port."
        ) from error


def _say_where(settings: Settings) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = f"http://{host}:{settings.port}"
    data = "the database of AGENT_API_DATABASE_URL" if settings.database_url else settings.data_dir
    click.echo(f"Agent API {__version__}", err=True)
    click.echo(f"  API    {base}", err=True)
    click.echo(f"  Docs   {base}/docs", err=True)
    click.echo(f"  Data   {data}", err=True)
    if settings.has_key and settings.jwt_secret is None:
        click.echo("  Token  from your identity provider", err=True)
    else:
        click.echo(f"  Token  {_command()} token --user alice", err=True)


def _command() -> str:
    """Return how this command line was called, for the person to call it again."""
    called = sys.argv[0]
    return "python -m agent_api" if called.endswith("__main__.py") else called


@commands.command()
@click.option(
    "--check", is_flag=True, help="Change nothing; exit with 1 where the database is behind."
)
def migrate(check: bool) -> None:
    """Bring the database's schema to the newest version.

    Several can run at once: they wait for each other.
    """
    settings = Settings.load()
    log.configure(settings)
    with _database(settings) as url:
        if not check:
            schema.upgrade(url, on_step=_progress)
        elif (reason := schema.readiness(url)) is not None:
            _fail(reason, 1)
    click.echo(f"The database is at {schema.head()}.")


@commands.command()
@click.option("--user", "user_id", type=UserId(), required=True, help="The user: the token's sub.")
@click.option("--expires-in", type=Duration(), default="8h", show_default=True, help="30m, 8h, 7d.")
@click.option("--scope", multiple=True, help="A scope to grant; can be given several times.")
def token(user_id: str, expires_in: int, scope: tuple[str, ...]) -> None:
    """Print a bearer token for the configured or the development secret."""
    settings = Settings.load()
    if settings.has_key and settings.jwt_secret is None:
        raise ConfigError(
            "Tokens come from your identity provider: there is no secret to sign with"
        )
    now = int(time.time())
    claims: dict[str, Any] = {"sub": user_id, "iat": now, "exp": now + expires_in}
    if scope:
        claims["scope"] = " ".join(scope)
    if settings.jwt_issuer:
        claims["iss"] = settings.jwt_issuer
    if settings.jwt_audience:
        claims["aud"] = settings.jwt_audience
    key = settings.jwt_secret or secret.load_or_create(settings.data_dir)
    click.echo(jwt.encode(claims, key, algorithm="HS256"))


@commands.command("demo")
@click.option(
    "--user", "user_id", type=UserId(), default="demo", show_default=True, help="Whose account."
)
def fill(user_id: str) -> None:
    """Fill a user's account with a dozen realistic conversations, to try the API with."""
    settings = Settings.load()
    log.configure(settings)
    with _database(settings) as url:
        schema.upgrade(url, on_step=_progress)
        engine.configure(url, pool_size=1, statement_timeout_ms=settings.statement_timeout_ms)
        try:
            conversations, messages, runs = demo.fill(user_id)
        finally:
            engine.dispose()
    click.echo(
        f"{user_id} has {conversations} new conversations, {messages} messages, {runs} runs."
    )
    click.echo(f"A token: {_command()} token --user {user_id}", err=True)


@commands.command()
def routes() -> None:
    """Print method, path, operationId and handler of every operation."""
    operations = compile_operations(
        Specification.load(load_contract()), HandlerResolver(collect_handlers())
    )
    rows = [
        (o.method, o.path, o.operation_id, f"{o.handler.__module__}.{o.handler.__name__}")
        for o in sorted(operations, key=lambda o: (o.path, o.method))
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[3]]))


@commands.command()
def version() -> None:
    """Print the version."""
    click.echo(f"agent-api {__version__}")
