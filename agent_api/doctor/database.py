"""Checks the database: whether it can be reached and used, and how it is configured."""

from collections.abc import Callable, Iterator
from functools import partial

import migrations
from agent_api.doctor.advice import advice_for
from agent_api.doctor.finding import Finding, error, ok, warning
from agent_api.doctor.schema import check_migrations, check_roles
from agent_api.doctor.sessions import check_connections, check_pooler, check_timeouts
from agent_api.settings import Settings
from agent_api.settings.storage import database
from db import embedded
from db.engine import Connection
from db.errors import Failure, describe
from db.inspection import pooler, probe, server
from db.schema import wrong_encoding

OLDEST = 150000
"""`server_version_num` of PostgreSQL 15, the oldest version that the tests run on."""
CLOCK_SECONDS = 1.0
"""Tokens are accepted for five seconds after their end, so clocks may differ a little."""

_Check = Callable[[], Iterator[Finding]]


def check(settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the database; the first failed connection is the last finding.

    Starts the embedded server if it is not running, but does not create its database. Raises
    EmbeddedError.
    """
    if settings.database_url is None:
        embedded.check_installed()
    if settings.database_url is None and not embedded.exists(settings.data_dir):
        yield warning(
            "database",
            f"The embedded database in {settings.data_dir} does not exist yet",
            "Run agent-api serve, which creates it, or set AGENT_API_DATABASE_URL.",
        )
        return
    with database(settings, create=False) as url:
        try:
            with probe.connected(url) as connection:
                yield from _check(settings, url, connection)
        except Failure as failure:
            yield _unusable("database", url, failure)


def _check(settings: Settings, url: str, connection: Connection) -> Iterator[Finding]:
    found = server.look(connection)
    is_embedded = settings.database_url is None
    yield from _check_server(settings, probe.place(url), found)
    yield from _check_values(found)
    behind = pooler.look(url, connection)
    steps: dict[str, _Check] = {
        "pooler": lambda: check_pooler(settings, behind),
        "database-connections": lambda: check_connections(settings, found, behind),
        "database-timeouts": lambda: check_timeouts(settings, url),
        "clock": partial(_check_clock, connection),
        "roles": partial(check_roles, connection, found.user),
        "migrations": partial(check_migrations, connection, migrations.FOLDER, is_embedded),
    }
    for name, step in steps.items():
        try:
            yield from step()
        except Failure as failure:
            if connection.is_closed():
                raise
            yield error(name, describe(failure), advice_for(failure))


def _check_server(
    settings: Settings, place: probe.Place, found: server.Server
) -> Iterator[Finding]:
    where = f"PostgreSQL {found.version.partition(' ')[0]}, {found.database} on {place.hosts}"
    if settings.database_url is None:
        yield ok("database", f"{where} (embedded, for one machine)")
    elif found.is_superuser:
        yield warning(
            "database",
            f"{where}; the user {found.user} is a superuser",
            "Use a role that only owns this database: see the page Production.",
        )
    else:
        yield ok("database", f"{where}, as {found.user}")
    if found.version_number < OLDEST:
        yield error(
            "database-version",
            f"PostgreSQL {found.version} is older than 15",
            "Upgrade PostgreSQL to version 15 or newer.",
        )
    if found.is_standby or found.is_read_only:
        kind = "a standby" if found.is_standby else "read-only by default"
        finding = error if found.is_standby else warning
        yield finding(
            "database-access",
            f"The server is {kind}",
            "Name the primary in AGENT_API_DATABASE_URL, or list all hosts and add"
            " target_session_attrs=read-write.",
        )


def _check_values(found: server.Server) -> Iterator[Finding]:
    encoding = found.settings["server_encoding"]
    if (reason := wrong_encoding(encoding)) is None:
        yield ok("database-encoding", encoding)
    else:
        text, _, remedy = reason.partition(": ")
        yield error("database-encoding", text, f"{remedy[0].upper()}{remedy[1:]}")
    values = {name: found.settings[name] for name in server.DURABILITY}
    off = [name for name, value in values.items() if value == "off"]
    if off:
        lost = "a crash can damage the data" if off != ["synchronous_commit"] else ""
        yield warning(
            "database-durability",
            f"off: {', '.join(off)}; {lost or 'a crash can lose writes that were acknowledged'}",
            "Turn these settings on, unless the data may be lost.",
        )
    else:
        texts = (f"{name} {value}" for name, value in values.items())
        yield ok("database-durability", ", ".join(texts))
    zone = found.settings["TimeZone"]
    yield ok("database-time-zone", f"{zone}; the server asks for UTC, so any is fine")


def _check_clock(connection: Connection) -> Iterator[Finding]:
    ahead, uncertain = server.clock_difference(connection)
    text = (
        f"The database's clock is {abs(ahead):.2f} s {'ahead of' if ahead > 0 else 'behind'} this"
        f" machine's (accurate to {uncertain:.2f} s)"
    )
    if abs(ahead) - uncertain <= CLOCK_SECONDS:
        yield ok("clock", text)
    else:
        yield warning("clock", text, "Synchronise both with NTP, for example with chrony.")


def check_replica(settings: Settings) -> Iterator[Finding]:
    """Yield a finding about the replica if AGENT_API_READ_DATABASE_URL names one."""
    if settings.read_database_url is None:
        return
    try:
        with probe.connected(settings.read_database_url) as connection:
            found = server.look(connection)
    except Failure as failure:
        yield _unusable("replica", settings.read_database_url, failure)
        return
    where = f"PostgreSQL {found.version}, {probe.place(settings.read_database_url)}"
    if found.is_standby:
        yield ok("replica", where)
    else:
        yield warning(
            "replica",
            f"{where} is not a standby, so nothing is read from it",
            "Name a standby of the primary in AGENT_API_READ_DATABASE_URL, or unset it.",
        )


def _unusable(name: str, url: str, failure: Failure) -> Finding:
    return error(name, f"{probe.place(url)}: {describe(failure)}", advice_for(failure))
