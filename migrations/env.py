"""Runs Alembic's migrations in one transaction, one run at a time, with limited lock waits."""

from alembic import context
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from db.engine import private_engine
from db.environment import ignore_postgresql_variables
from db.models import Base
from db.schema import MIGRATION_LOCK

# Wait without limit for another run, which has its own limits. Wait only briefly for a table's
# lock, because all requests queue up behind this wait.
PREAMBLE = (
    "SET LOCAL lock_timeout = 0",
    "SET LOCAL statement_timeout = 0",
    f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})",
    "SET LOCAL lock_timeout = '5s'",
    "SET LOCAL statement_timeout = '10min'",
)


def run(connection: Connection | None) -> None:
    """Run the migrations on a connection; without one print their SQL."""
    context.configure(
        connection=connection,
        dialect_name="postgresql",
        literal_binds=connection is None,
        target_metadata=Base.metadata,
        compare_server_default=True,
        on_version_apply=context.config.attributes.get("on_step"),
        process_revision_directives=number,
    )
    with context.begin_transaction():
        for statement in PREAMBLE:
            context.execute(statement)
        context.run_migrations()


def number(_: MigrationContext, _revision: object, directives: list[MigrationScript]) -> None:
    """Number a new revision after the current head."""
    head = ScriptDirectory.from_config(context.config).get_current_head()
    for directive in directives:
        directive.rev_id = f"{int(head or 0) + 1:04}"


def developer_url() -> str:
    """Return the URL given with `alembic -x url=postgresql://...`."""
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise SystemExit("Missing database URL: run alembic -x url=postgresql://...")
    ignore_postgresql_variables()  # Alembic's own command does not
    return url


if context.is_offline_mode():
    run(None)
elif (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    with private_engine(developer_url()).begin() as connection:
        run(connection)
