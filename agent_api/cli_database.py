"""The commands for the database: migrate, index, distribute, psql.

They import what they need when they run, like the other commands.
"""

import sys

import click

from agent_api.settings import ConfigError, Settings


def print_to_stderr(text: str) -> None:
    """Say what a command is doing, apart from its result."""
    click.echo(text, err=True)


@click.command(short_help="Migrate the database to the newest schema.")
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing. Exit with 1 and the reason if the schema is not the newest.",
)
def migrate(check: bool) -> None:
    """Migrate the database to the newest schema.

    Concurrent runs wait for each other.
    """
    settings = Settings.load(needs_key=False)

    import migrations
    from agent_api.observability import log
    from agent_api.settings.storage import database
    from db import schema
    from db.schema import readiness

    log.configure(settings)
    with database(settings, print_to_stderr, create=not check) as url:
        if not check:
            schema.upgrade(url, migrations.FOLDER, on_step=print_to_stderr)
        # A restored database may have the newest schema, but a user without the roles.
        reason = readiness.check(url, migrations.FOLDER, explain=True, exact=True)
        if reason is not None:
            raise click.ClickException(reason)
    click.echo(f"The database is at {schema.head(migrations.FOLDER)}.")


@click.command(short_help="Make the messages of earlier versions searchable.")
def index() -> None:
    """Make messages searchable that a version without search has stored.

    Servers do the same in the background, 5000 messages a minute. This command does not wait
    between its steps, and can be stopped and repeated. Run it after all servers are replaced, or
    once more then.
    """
    settings = Settings.load(needs_key=False)

    from agent_api.observability import log
    from agent_api.settings.storage import database
    from db import engine
    from db.search import backlog

    log.configure(settings)
    with database(settings, print_to_stderr, create=False) as url:
        engine.configure(url, pool_size=1, statement_timeout_ms=settings.statement_timeout_ms)
        try:
            count = backlog.run(most=None)
        finally:
            engine.dispose()
    click.echo(f"{count} messages are searchable now.")


@click.command(short_help="Distribute the tables over the nodes of Citus.")
@click.option(
    "--check", is_flag=True, help="Change nothing. Exit with 1 if something is to be done."
)
def distribute(check: bool) -> None:
    """Distribute the tables over the nodes of Citus, by user.

    Stop all servers first. Repeat it after a migration that reports undistributed tables. See
    docs/operations/scale-out.md.
    """
    settings = Settings.load(needs_key=False)
    if settings.database_url is None:
        raise ConfigError("The embedded database has no nodes: set AGENT_API_DATABASE_URL")

    import migrations
    from agent_api.observability import log
    from db.schema import distribution

    log.configure(settings)
    if not check:
        distribution.distribute(settings.database_url, migrations.FOLDER, on_step=print_to_stderr)
    elif steps := distribution.pending(settings.database_url, migrations.FOLDER):
        for step in steps:
            print_to_stderr(step.partition("\n")[0])
        raise click.ClickException(f"{len(steps)} steps are to be done: run agent-api distribute")
    click.echo("All tables are distributed by user.")


@click.command(
    context_settings={"ignore_unknown_options": True},
    short_help="Open the embedded database with psql.",
)
@click.option("--url", "print_url", is_flag=True, help="Only print the database URL.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(print_url: bool, arguments: tuple[str, ...]) -> None:
    """Open the embedded database with psql, and pass ARGUMENTS to psql.

    Starts the database if necessary. --url prints the URL for alembic and other tools, which
    works while a server is running.
    """
    settings = Settings.load(needs_key=False)
    if settings.database_url is not None:
        raise ConfigError(
            "AGENT_API_DATABASE_URL replaces the embedded database: run psql with that URL"
        )

    import signal
    import subprocess

    from agent_api.settings.storage import database
    from db import embedded

    with database(settings, print_to_stderr) as url:
        if print_url:
            click.echo(url)
            return
        # Ctrl-C cancels the statement in psql. It must not end this process.
        signal.signal(signal.SIGINT, lambda *_: None)
        program = embedded.program("psql", settings.data_dir)
        sys.exit(subprocess.run([program, url, *arguments], check=False).returncode)


COMMANDS = (migrate, index, distribute, psql)
