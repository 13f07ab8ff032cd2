"""Tests of database URLs: the forms of libpq and SQLAlchemy, several hosts, and invalid URLs."""

from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url

import migrations
from db import engine, schema
from db.engine.connections import address
from db.schema import readiness
from tests.db.rows import value


def libpq_parameters(url: str) -> dict[str, Any]:
    given = address.driver_args(address.normalise(url), connect_timeout=5, settings={})
    mine = ("application_name", "client_encoding", "keepalives", "tcp_user_timeout", "options")
    return {
        name: str(value)
        for name, value in given.items()
        if value is not None and not name.startswith(mine)
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p%40w@h/d", {"host": "h", "user": "u", "password": "p@w", "dbname": "d"}),
        (
            "postgresql://u:p,w@h:1/d",
            {"host": "h", "port": "1", "user": "u", "password": "p,w", "dbname": "d"},
        ),
        ("postgresql://[::1]:7/d", {"host": "::1", "port": "7", "dbname": "d"}),
        ("postgresql:///d?host=/run/a", {"host": "/run/a", "dbname": "d"}),
        ("postgresql://%2Frun%2Fa/d", {"host": "/run/a", "dbname": "d"}),
        ("postgresql://a:1,b:2/d", {"host": "a,b", "port": "1,2", "dbname": "d"}),
        ("postgresql://a,b/d", {"host": "a,b", "port": ",", "dbname": "d"}),
        ("postgresql://a,b", {"host": "a,b", "port": ","}),
        (
            "postgresql://u:p,w@a:1,[::1]:2,c/d?target_session_attrs=read-write",
            {
                "host": "a,::1,c",
                "port": "1,2,",
                "user": "u",
                "password": "p,w",
                "dbname": "d",
                "target_session_attrs": "read-write",
            },
        ),
        (
            "postgresql://%2Frun%2Fa,%2Frun%2Fb:2/d",
            {"host": "/run/a,/run/b", "port": ",2", "dbname": "d"},
        ),
        ("postgresql:///d?host=a:1&host=b:2", {"host": "a,b", "port": "1,2", "dbname": "d"}),
        ("postgresql:///d?host=a,b&port=1,2", {"host": "a,b", "port": "1,2", "dbname": "d"}),
        (
            "postgresql:///d?host=/run/a&host=/run/b:2",
            {"host": "/run/a,/run/b", "port": ",2", "dbname": "d"},
        ),
    ],
)
def test_hosts_are_read_in_both_forms(url: str, expected: dict[str, str]) -> None:
    parameters = libpq_parameters(url)

    timeout = parameters.pop("connect_timeout")
    assert parameters == expected
    assert timeout == ("2" if "," in expected.get("host", "") else "5")  # for each host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://u:hidden@h/d",
        "postgresql+asyncpg://h/d",
        "postgresql://u:hidden@h:x/d",
        "postgresql://u:hidden@a:1,b:x/d",
        "postgresql://u:hidden@[::1,b/d",
        "postgresql://u:hidden@a,b/d?host=c",
        "postgresql://u:hidden@h/d?host=a&host=b&port=1",
        "mysql://u:hidden@a,b/d",
    ],
)
def test_invalid_url_is_refused_without_quoting_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://") as raised:
        address.normalise(url)

    assert "hidden" not in str(raised.value)


def test_unknown_option_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        address.normalise("postgresql://a:1,b:2/d?nonsense=1")


def test_options_of_the_url_take_precedence() -> None:
    given = address.normalise("postgresql://h/d?connect_timeout=1&options=-c%20jit=on")

    arguments = address.connect_args(given, connect_timeout=5, settings={"jit": "off"})

    assert "connect_timeout" not in arguments
    assert arguments["options"] == "-c jit=off -c jit=on"


@pytest.mark.parametrize("form", ["libpq's", "SQLAlchemy's"])
def test_readiness_migrations_and_engine_find_the_host_that_answers(
    database_url: str, form: str
) -> None:
    """The first host has no server."""
    with psycopg2.connect(database_url) as direct:
        host, port = direct.info.host, direct.info.port
    direct.close()
    url = make_url(database_url)
    login = url.username or "" if url.password is None else f"{url.username}:{url.password}"
    coded = host.replace("/", "%2F")
    several = (
        f"postgresql://{login}@127.0.0.1:1,{coded}:{port}/{url.database}?target_session_attrs=read-write"
        if form == "libpq's"
        else f"postgresql://{login}@/{url.database}?host=127.0.0.1:1&host={host}:{port}"
    )

    reason = readiness.check(several, migrations.FOLDER)
    pending = schema.pending(several, migrations.FOLDER)
    engine.configure(several, pool_size=1, statement_timeout_ms=5000)
    try:
        with engine.autocommit() as connection:
            found = value(connection, "SELECT 1")
    finally:
        engine.dispose()

    assert (reason, pending, found) == (None, [], 1)
