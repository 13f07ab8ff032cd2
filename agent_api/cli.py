"""The command line: serve, mock, migrate, index, distribute, token, worker, doctor, and others.

Commands import what they need when they run. Connexion and SQLAlchemy take a second to load, which
`agent-api token` or a mistyped option should not have to wait for.
"""

import logging
import sys

import click

from agent_api import __version__, cli_database, cli_doctor, cli_options
from agent_api.cli_database import print_to_stderr
from agent_api.cli_options import AgentId, Duration, Token, Url, UserId
from agent_api.contract.spec import ContractError
from agent_api.settings import ConfigError, Settings, log_format
from db import errors
from db.environment import ignore_postgresql_variables
from db.errors import EmbeddedError

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the command line. An error is one line; unusable input exits with 2."""
    ignore_postgresql_variables()
    try:
        # In standalone mode click would print errors in four lines.
        sys.exit(commands(prog_name="agent-api", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.exceptions.NoSuchCommand as error:
        _fail(f"{error.format_message()} See: agent-api --help", error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except click.Abort:
        sys.exit(130)
    except ConfigError as error:
        _fail(str(error), 2)
    except (EmbeddedError, ContractError) as error:
        _fail(str(error), 1)
    except errors.Failure as error:
        _fail(errors.describe(error), 1)


def _fail(message: str, code: int) -> None:
    if log_format(sys.argv[1:]) == "json":
        logger.error("command failed", extra={"reason": message})
    else:
        click.echo(f"agent-api: {message}", err=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="agent-api %(version)s", help="Print the version.")
def commands() -> None:
    """Serve the conversations of an agent chat product over HTTP.

    Environment variables that start with AGENT_API_ are the settings; see
    docs/reference/configuration.md. By default, the server stores its data in an embedded
    PostgreSQL in your data folder.
    """


@commands.command(short_help="Serve the API.")
@cli_options.host
@cli_options.port
@cli_options.workers
@click.option("--reload", is_flag=True, help="Restart when the code changes, for development.")
@click.option(
    "--echo/--no-echo", "echoes", help="Run an echo worker, too, for development.  [default: no]"
)
def serve(
    host: str | None, port: int | None, workers: int | None, reload: bool, echoes: bool
) -> None:
    """Serve the API until Ctrl-C or SIGTERM.

    Migrates the embedded database first. If you use your own database, run `agent-api migrate`
    before you serve a new version.
    """
    settings = Settings.load(host=host, port=port, workers=workers)
    if reload and settings.workers > 1:
        raise click.UsageError("--reload requires a single worker: omit --workers")

    from agent_api.server import run

    # The log is on standard error.
    run.serve(settings, reload=reload, echoes=echoes, say=click.echo)


@commands.command("mock", short_help="Serve examples of the contract, without a database.")
@cli_options.host
@cli_options.port
def serve_mock(host: str | None, port: int | None) -> None:
    """Serve examples of the contract until Ctrl-C or SIGTERM, without a database.

    Use it to develop and test clients. Requests are validated as by the real server, but any bearer
    token is accepted. The header `Prefer: code=404` selects a response by status, and `Prefer:
    example=saved` by the name of its example.
    """
    settings = Settings.load(needs_key=False, host=host, port=port)

    from agent_api.server import run

    run.serve_mock(settings, say=click.echo)


@commands.command(short_help="Print a bearer token.")
@click.option("--user", "user_id", type=UserId(), required=True, help="The user's id (sub).")
@click.option("--expires-in", type=Duration(), default="8h", show_default=True, help="Lifetime.")
@click.option(
    "--scope", multiple=True, help="For the claim scope: runs:work for workers. Can be repeated."
)
def token(user_id: str, expires_in: int, scope: tuple[str, ...]) -> None:
    """Print a bearer token, signed with the configured or the development secret."""
    settings = Settings.load()

    from agent_api.auth import signing

    text = signing.sign(settings, user_id, seconds=expires_in, scopes=scope, on_new=print_to_stderr)
    click.echo(text)


@commands.command("worker", short_help="Answer runs with an echo, to develop front ends.")
@click.option(
    "--echo", is_flag=True, required=True, expose_value=False, help="Required: the only behaviour."
)
@click.option(
    "--agent",
    "agent_ids",
    multiple=True,
    type=AgentId(),
    default=["echo"],
    show_default=True,
    help="Whose runs to answer. Can be repeated.",
)
@click.option("--url", type=Url(), help="URL of the server.  [default: this machine's server]")
@click.option(
    "--token",
    type=Token(),
    help="Its bearer token, with the scope runs:work.  [default: a new one]",
)
def worker(agent_ids: tuple[str, ...], url: str | None, token: str | None) -> None:
    """Answer runs word by word with what the user said, until Ctrl-C or SIGTERM.

    A fake agent without a model, for development only: with it, developers of front ends can try
    streaming and cancellation. Set AGENT_API_TOKEN rather than --token, because other users of this
    machine can see options.
    """
    settings = Settings.load(needs_key=False, token=token)

    from agent_api.server.addresses import base_url
    from agent_api.worker import run
    from agent_api.worker.connection import RequestRefused

    url = url or base_url(settings.host, settings.port)
    try:
        run.run(settings, agent_ids, url=url, say=print_to_stderr)
    except RequestRefused as error:
        raise click.ClickException(f"The server refuses this worker: {error}") from error


@commands.command("demo", short_help="Add example conversations for a user.")
@click.option("--user", "user_id", type=UserId(), default="demo", show_default=True, help="Owner.")
def demo(user_id: str) -> None:
    """Add a dozen realistic conversations for a user, to try the API."""
    settings = Settings.load()

    import migrations
    from agent_api.demo.fill import fill
    from agent_api.observability import log
    from agent_api.server import startup_message
    from agent_api.settings.storage import database
    from db import engine, schema
    from db.schema import readiness

    log.configure(settings)
    with database(settings, print_to_stderr) as url:
        if settings.database_url is None:
            schema.upgrade(url, migrations.FOLDER, on_step=print_to_stderr)
        elif (reason := readiness.check(url, migrations.FOLDER, explain=True)) is not None:
            raise click.ClickException(reason)
        engine.configure(url, pool_size=1, statement_timeout_ms=settings.statement_timeout_ms)
        try:
            conversations, messages, runs = fill(user_id)
        finally:
            engine.dispose()
    click.echo(
        f"{user_id} has {conversations} new conversations, {messages} messages, {runs} runs."
    )
    if settings.can_sign:
        print_to_stderr(f"A token: {startup_message.token_command(settings, user_id)}")


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


for command in (*cli_database.COMMANDS, cli_doctor.doctor):
    commands.add_command(command)
