"""Checks the connections to the database: how many, their timeouts, and a pooler in between."""

from collections.abc import Iterator

from agent_api.doctor.finding import Finding, count, error, ok, warning
from agent_api.settings import Settings
from db.engine import session
from db.engine.connections import address
from db.inspection.pooler import Pooler
from db.inspection.server import Server

SPARE = 10
"""Connections for psql, backups and migrations, as the page Production says."""
_WAIT = "query_wait_timeout"


def check_connections(
    settings: Settings, server: Server, pooler: Pooler | None
) -> Iterator[Finding]:
    """Yield whether the connections of the workers fit the limits of PostgreSQL or the pooler."""
    name = "database-connections"
    needed = settings.workers * settings.pool_size
    workers = count(settings.workers, "worker")
    text = f"{workers} with a pool of {settings.pool_size}: {count(needed, 'connection')}"
    if pooler is not None:
        most = int((pooler.settings or {}).get("max_client_conn", needed))
        whose = "max_client_conn of PgBouncer"
    else:
        limits = {
            "max_connections of PostgreSQL": server.max_connections,
            "the connection limit of the user": server.max_of_user,
            "the connection limit of the database": server.max_of_database,
        }
        known = {key: value for key, value in limits.items() if value is not None}
        whose, most = min(known.items(), key=lambda item: item[1])
        text += f" of {most}, {server.connections} in use now"
    remedy = f"Raise {whose}, or lower AGENT_API_POOL_SIZE or AGENT_API_WORKERS."
    if needed > most:
        yield error(name, f"{text}; {whose} allows {most}", remedy)
    elif pooler is None and 2 * needed + SPARE > most:
        yield warning(
            name, f"{text}; too few for a second server, or for replacing this one", remedy
        )
    else:
        yield ok(name, text)


def check_timeouts(settings: Settings, url: str) -> Iterator[Finding]:
    """Yield whether statements and transactions end by themselves, also if the URL has options."""
    limit = settings.statement_timeout_ms
    values = session.settings(address.normalise(url), statement_timeout_ms=limit)
    names = ("statement_timeout", "idle_in_transaction_session_timeout")
    endless = [name for name in names if values[name].strip() in ("0", "0ms", "0s")]
    if endless:
        yield warning(
            "database-timeouts",
            f"The options of the database URL turn off {', '.join(endless)}",
            "Remove them from the URL: AGENT_API_STATEMENT_TIMEOUT_MS sets the time.",
        )
    else:
        yield ok("database-timeouts", ", ".join(f"{name} {values[name]} ms" for name in names))


def check_pooler(settings: Settings, pooler: Pooler | None) -> Iterator[Finding]:
    """Yield whether a pooler is in between, and whether its settings suit the server."""
    if pooler is None:
        text = "none: statements are prepared unless AGENT_API_PREPARED_STATEMENTS=off"
        yield ok("pooler", f"{text}, or the tables are distributed")
        return
    name = "a pooler" if pooler.settings is None else "PgBouncer"
    text = f"{name} in {pooler.mode} mode"
    if pooler.mode == "statement":
        yield error("pooler", f"{text}, in which transactions fail", "Set pool_mode = transaction.")
    else:
        yield ok("pooler", f"{text}; the server prepares no statements")
    if pooler.jit:
        yield warning(
            "pooler",
            "jit is on, which the server cannot turn off behind a pooler: statements are slow",
            "Run ALTER ROLE ... SET jit = off for the user of the database URL.",
        )
    if pooler.settings is not None and _WAIT in pooler.settings:
        wait = float(pooler.settings[_WAIT])
        limit = settings.statement_timeout_ms / 1000
        if wait == 0 or wait > limit:
            yield warning(
                "pooler",
                f"{_WAIT} is {wait:g} s, longer than the statement timeout of {limit:g} s",
                f"Set {_WAIT} to less than {limit:g} in pgbouncer.ini, so that requests fail soon.",
            )
