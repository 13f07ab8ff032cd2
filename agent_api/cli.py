"""The command line: agent-api serve, mock, migrate, token, demo, psql, routes, version.

What a command needs is imported when it runs: Connexion and SQLAlchemy take a second to load, and
neither a token nor a mistyped option should have to wait for them.
"""

import re
import sys
import time
from typing import Any

import click

from agent_api import __version__
from agent_api.contract.spec import ContractError
from agent_api.settings import ConfigError, Settings
from db import errors
from db.errors import EmbeddedError

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
        # Standalone, click would print its usage in four lines and end the process itself.
        sys.exit(commands(prog_name="agent-api", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except click.Abort:
        sys.exit(130)
    except ConfigError as error:
        _fail(str(error), 2)
    except (EmbeddedError, ContractError) as error:
        _fail(str(error), 1)
    except errors.Failure as error:
        # The driver's own first line says which host, or which user; it never holds a password.
        cause = str(getattr(error.__cause__, "orig", "")).partition("\n")[0]
        _fail(f"{error}: {cause}" if cause else str(error), 1)


def _fail(message: str, code: int) -> None:
    click.echo(f"agent-api: {message}", err=True)
    sys.exit(code)


def _say(text: str) -> None:
    click.echo(text, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="agent-api %(version)s", help="Print the version.")
def commands() -> None:
    """Keep the conversations of an agent chat product behind an HTTP API.

    Settings are environment variables that start with AGENT_API_; docs/reference/configuration.md
    lists them. Without any, data is kept in an embedded PostgreSQL in your data folder.
    """


class Host(click.ParamType[str]):
    """An address to listen on; whether it can be is found out when it is tried."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address as it is."""
        if not value.strip():
            self.fail("it is empty: give it a value or leave it out", param, ctx)
        return str(value)


_host = click.option(
    "--host", type=Host(), help="Address to listen on.  [default: 127.0.0.1, or AGENT_API_HOST]"
)
_port = click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port to listen on.  [default: 8000, or AGENT_API_PORT]",
)


@commands.command(short_help="Serve the API.")
@_host
@_port
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

    from agent_api.server import run

    run.serve(settings, reload=reload, say=click.echo)  # standard error is the log


@commands.command("mock", short_help="Serve the contract's examples, without a database.")
@_host
@_port
def serve_mock(host: str | None, port: int | None) -> None:
    """Serve the contract's examples until Ctrl-C or SIGTERM, without a database.

    For front ends that begin before the server runs, and for the tests of clients. Requests are
    checked as the server checks them, but any bearer token will do. The header `Prefer: code=404`
    asks for another answer of the contract, `Prefer: example=saved` for the one of that name.
    """
    settings = Settings.load(needs_key=False, host=host, port=port)

    from agent_api.server import run

    run.serve_mock(settings, say=click.echo)


@commands.command(short_help="Bring the database's schema to the newest version.")
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing; exit with 1, and say why, where it is behind, ahead or out of reach.",
)
def migrate(check: bool) -> None:
    """Bring the database's schema to the newest version.

    Several can run at once: they wait for each other.
    """
    settings = Settings.load()

    import migrations
    from agent_api.observability import log
    from agent_api.settings.storage import database, database_is_missing
    from db import schema
    from db.schema import readiness

    log.configure(settings)
    if check and database_is_missing(settings):
        _fail(f"There is no database in {settings.data_dir} yet: run agent-api migrate or serve", 1)
    with database(settings, _say) as url:
        if not check:
            schema.upgrade(url, migrations.FOLDER, on_step=_say)
        # Also after an upgrade: a restored database may be at head, and its user lack the roles.
        reason = readiness.check(url, migrations.FOLDER, explain=True, exact=True)
        if reason is not None:
            _fail(reason, 1)
    click.echo(f"The database is at {schema.head(migrations.FOLDER)}.")


@commands.command(short_help="Print a bearer token.")
@click.option("--user", "user_id", type=UserId(), required=True, help="The user: the token's sub.")
@click.option("--expires-in", type=Duration(), default="8h", show_default=True, help="30m, 8h, 7d.")
@click.option("--scope", multiple=True, help="A scope to grant; can be given several times.")
def token(user_id: str, expires_in: int, scope: tuple[str, ...]) -> None:
    """Print a bearer token for the configured or the development secret."""
    settings = Settings.load()
    if not settings.can_sign:
        raise ConfigError(
            "Tokens come from your identity provider: there is no secret to sign with"
        )

    import jwt

    from agent_api.auth import development_secret

    now = int(time.time())
    claims: dict[str, Any] = {"sub": user_id, "iat": now, "exp": now + expires_in}
    if scope:
        claims["scope"] = " ".join(scope)
    if settings.jwt_issuer:
        claims["iss"] = settings.jwt_issuer
    if settings.jwt_audience:
        claims["aud"] = settings.jwt_audience
    key = settings.jwt_secret or development_secret.load_or_create(settings.data_dir, on_new=_say)
    click.echo(jwt.encode(claims, key, algorithm="HS256"))


@commands.command("demo", short_help="Add a dozen conversations to a user's account.")
@click.option(
    "--user", "user_id", type=UserId(), default="demo", show_default=True, help="Whose account."
)
def demo(user_id: str) -> None:
    """Add a dozen realistic conversations to a user's account, to try the API with."""
    settings = Settings.load()

    import migrations
    from agent_api.demo.fill import fill
    from agent_api.observability import log
    from agent_api.server import startup_message
    from agent_api.settings.storage import database
    from db import engine, schema
    from db.schema import readiness

    log.configure(settings)
    with database(settings, _say) as url:
        if settings.database_url is None:
            schema.upgrade(url, migrations.FOLDER, on_step=_say)
        elif (reason := readiness.check(url, migrations.FOLDER, explain=True)) is not None:
            _fail(reason, 1)
        engine.configure(url, pool_size=1, statement_timeout_ms=settings.statement_timeout_ms)
        try:
            made = fill(user_id)
        finally:
            engine.dispose()
    conversations, messages, runs = made
    click.echo(
        f"{user_id} has {conversations} new conversations, {messages} messages, {runs} runs."
    )
    if settings.can_sign:
        _say(f"A token: {startup_message.command_name()} token --user {user_id}")


@commands.command(
    context_settings={"ignore_unknown_options": True},
    short_help="Open the embedded database with psql.",
)
@click.option("--url", "print_url", is_flag=True, help="Print its URL, for alembic and others.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(print_url: bool, arguments: tuple[str, ...]) -> None:
    """Open the embedded database with psql, which gets ARGUMENTS.

    The database runs until psql ends. A URL printed by --url works as long as a server runs.
    """
    settings = Settings.load(needs_key=False)
    if settings.database_url is not None:
        raise ConfigError(
            "AGENT_API_DATABASE_URL names your own database: open it with your own psql"
        )

    import signal
    import subprocess

    from agent_api.settings.storage import database
    from db import embedded

    with database(settings, _say) as url:
        if print_url:
            click.echo(url)
            return
        # Ctrl-C cancels the statement in psql, and does not end this process.
        signal.signal(signal.SIGINT, lambda *_: None)
        program = embedded.program("psql", settings.data_dir)
        sys.exit(subprocess.run([program, url, *arguments], check=False).returncode)


@commands.command(short_help="Print every operation and its handler.")
def routes() -> None:
    """Print method, path, operationId and handler of every operation."""
    from agent_api import app

    operations = app.compile_contract()
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
