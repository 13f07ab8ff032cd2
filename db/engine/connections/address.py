"""Reads database URLs and builds connection parameters for libpq."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import psycopg2
from psycopg2.extensions import make_dsn
from sqlalchemy import URL, exc, make_url

# RFC 3986, except that `@` must be escaped everywhere: an unescaped one may belong to a password.
_ESCAPED = re.compile(
    r"[^:]*://(?:(?:[^\s/?#@%]|%[\da-f]{2})*@)?(?:[^\s#@%]|%[\da-f]{2})*", re.IGNORECASE
)
_AUTHORITY = re.compile(
    r"(?P<begin>[^:/?#]+://(?:[^/?#]*@)?)(?P<hosts>[^/?#@]*,[^/?#@]*)(?P<rest>(?:[/?#].*)?)"
)
_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>.*))?")
LEAST_SECONDS = 2
"""libpq raises a shorter connect_timeout to this value."""
CONNECT_SECONDS = 5


def normalise(url: str) -> URL:
    """Return the URL for psycopg2; raise ValueError if it is not a PostgreSQL URL.

    Several hosts can be written like libpq, `//a:5432,b:5432/`, or like SQLAlchemy,
    `///?host=a:5432&host=b:5432`. Errors never quote the URL because it may contain a password.
    """
    if "://" in url and not _is_escaped(url):
        raise ValueError(
            "is not percent-encoded: write %40 for @, %2F for /, %3F for ?, %23 for #, %25 for %"
        )
    try:
        address = _read(url)
        if address.drivername not in ("postgresql", "postgres", "postgresql+psycopg2"):
            raise ValueError("must begin with postgresql://")
        address = address.set(drivername="postgresql+psycopg2")
        arguments = _arguments(address)
    except exc.ArgumentError as error:
        raise ValueError(
            "is not a database URL such as postgresql://user:password@host/database"
        ) from error
    try:
        make_dsn(**arguments)
    except psycopg2.ProgrammingError as error:  # an option that libpq does not know
        if "password" in address.query:  # an unescaped & in it begins an option
            raise ValueError("has an unknown parameter: write %26 for & in a password") from None
        raise ValueError(f"has an {str(error).strip()}") from error
    return address


def _is_escaped(url: str) -> bool:
    """Return whether the escapes are valid, and all characters escaped that must be."""
    try:
        decoded = unquote(url, errors="strict")
        decoded.encode()  # fails if the environment's bytes are not UTF-8
    except UnicodeError:
        return False
    return _ESCAPED.fullmatch(url) is not None and "\0" not in decoded


def _read(url: str) -> URL:
    several = _AUTHORITY.fullmatch(url)
    try:
        if several is None:
            address = make_url(url)
            # libpq expects a socket folder to be percent-encoded here.
            return address.set(host=unquote(address.host)) if address.host else address
        address = make_url(several["begin"] + several["rest"])
    except ValueError as error:  # the port is not a number
        raise exc.ArgumentError from error
    pairs = [_HOST.fullmatch(host) for host in several["hosts"].split(",")]
    if not all(pairs) or "host" in address.query:
        raise exc.ArgumentError
    hosts = [unquote(pair["host"]).strip("[]") for pair in pairs if pair]
    ports = [pair["port"] or "" for pair in pairs if pair]
    return address.update_query_dict({"host": ",".join(hosts), "port": ",".join(ports)})


def _arguments(address: URL) -> dict[str, Any]:
    _, arguments = address.get_dialect()().create_connect_args(address)
    return dict(arguments)


def connect_args(
    address: URL, *, connect_timeout: int, settings: Mapping[str, str | int]
) -> dict[str, str | int]:
    """Return libpq's parameters: the timeouts that detect a dead peer, and session settings.

    The hosts share `connect_timeout` because libpq tries them in sequence. The URL's parameters
    take precedence, and its `options` come after `settings`.
    """
    hosts = str(_arguments(address).get("host", "")).count(",") + 1
    defaults: dict[str, str | int] = {
        "application_name": "agent-api",
        "connect_timeout": max(LEAST_SECONDS, connect_timeout // hosts),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    arguments = {name: value for name, value in defaults.items() if name not in address.query}
    options = [f"-c {name}={_escaped(value)}" for name, value in settings.items()]
    given = address.query.get("options")
    if isinstance(given, str):
        options.append(given)
    # Without it a role's or the database's client_encoding would apply, which may lack emoji.
    return arguments | {"options": " ".join(options), "client_encoding": "UTF8"}


def _escaped(value: str | int) -> str:
    r"""Escape spaces and backslashes, as PostgreSQL's `options` require: `read\ committed`."""
    return re.sub(r"[\\\s]", r"\\\g<0>", str(value))


def driver_args(
    address: URL, *, connect_timeout: int, settings: Mapping[str, str | int]
) -> dict[str, Any]:
    """Return all arguments for psycopg2.connect, to connect without SQLAlchemy."""
    parameters = connect_args(address, connect_timeout=connect_timeout, settings=settings)
    return _arguments(address) | parameters
