"""How Alembic runs the migrations: in one transaction, one run at a time, with bounded waits."""

from alembic import context
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from db.engine import private_engine
from db.models import Base
from db.schema import MIGRATION_LOCK

# In this order: the wait for another run's lock is bounded by that run's own limits, not by ours.
# A lock on a table in use is not waited for long, as every request would queue up behind it.
PREAMBLE = (
    "SET LOCAL lock_timeout = 0",
    "SET LOCAL statement_timeout = 0",
    f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})",
    "SET LOCAL lock_timeout = '5s'",
    "SET LOCAL statement_timeout = '10min'",
)


def run(connection: Connection | None) -> None:
    """Run on a connection, or without one write the SQL out."""
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
    """Call a new revision by the number after head's."""
    head = ScriptDirectory.from_config(context.config).get_current_head()
    for directive in directives:
        directive.rev_id = f"{int(head or 0) + 1:04}"


def developer_url() -> str:
    """The database that `alembic -x url=postgresql://...` names."""
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise SystemExit("Say which database: alembic -x url=postgresql://... ")
    return url


if context.is_offline_mode():
    run(None)
elif (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    with private_engine(developer_url()).begin() as connection:
        run(connection)
