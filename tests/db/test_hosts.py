"""Tests of connecting: several hosts and addresses, and servers that refuse or never answer."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import psycopg2
import pytest
from sqlalchemy import make_url

from db.engine import Connection
from db.engine.connections import address
from tests.db.rows import value
from tests.db.waiting import BOTH_WAYS, Call, start
from tests.silence import Relay

REFUSING = "127.0.0.1:1"
UNKNOWN = "nowhere.invalid"


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    """PostgreSQL on a port of 127.0.0.1."""
    with Relay(database_url) as running:
        yield running


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


def open_(url: str, **parameters: object) -> Connection:
    given = address.driver_args(address.normalise(url), connect_timeout=5, settings={})
    return Connection(given | parameters, settings="", seconds=30)


def ask(url: str, statement: str = "SELECT 1", **parameters: object) -> object:
    with contextlib.closing(open_(url, **parameters)) as connection:
        return value(connection, statement)


def with_hosts(url: str, *hosts: str, parameters: str = "") -> str:
    """Return the URL with other hosts."""
    begin, _, rest = url.partition("@")
    return f"{begin}@{','.join(hosts)}/{rest.partition('/')[2]}{parameters}"


def port_of(url: str) -> int:
    port = make_url(url).port
    assert port is not None
    return port


def named(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"{host}:{port}"


@BOTH_WAYS
@pytest.mark.parametrize("timeout", ["abc", "1.5"])
def test_timeout_that_is_no_number_is_refused(relay: Relay, call: Call, timeout: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="connect_timeout"):
        call(ask, f"{relay.url}&connect_timeout={timeout}")


@BOTH_WAYS
@pytest.mark.parametrize("first", [REFUSING, "[::1]:1", f"{UNKNOWN}:1", "/nowhere"])
def test_host_after_a_dead_one_is_found(relay: Relay, call: Call, first: str) -> None:
    good = f"127.0.0.1:{port_of(relay.url)}"

    assert call(ask, with_hosts(relay.url, first.replace("/", "%2F"), good)) == 1


@pytest.mark.slow
@BOTH_WAYS
def test_host_after_a_silent_one_is_found(relay: Relay, silent: socket.socket, call: Call) -> None:
    url = with_hosts(relay.url, named(silent), f"127.0.0.1:{port_of(relay.url)}")

    begin = time.monotonic()
    found = call(lambda: ask(url, connect_timeout=1))

    assert found == 1
    assert 1 <= time.monotonic() - begin < 30


@pytest.mark.slow
@BOTH_WAYS
def test_error_names_the_reasons_of_all_hosts(silent: socket.socket, call: Call) -> None:
    url = f"postgresql://{REFUSING},{named(silent)},{UNKNOWN}/db"

    with pytest.raises(psycopg2.OperationalError) as raised:
        call(lambda: ask(url, connect_timeout=1))

    for reason in ("refused", "timeout expired", f'"{UNKNOWN}"'):
        assert reason in str(raised.value)


@BOTH_WAYS
def test_unknown_host_is_named(call: Call) -> None:
    with pytest.raises(psycopg2.OperationalError, match=f'translate host name "{UNKNOWN}" to addr'):
        call(ask, f"postgresql://{UNKNOWN}/db")


@pytest.mark.slow
@BOTH_WAYS
def test_connect_timeout_is_respected(silent: socket.socket, call: Call) -> None:
    url = f"postgresql://{named(silent)}/db"

    begin = time.monotonic()
    with pytest.raises(psycopg2.OperationalError, match="timeout expired"):
        call(lambda: ask(url, connect_timeout=1))

    assert 1 <= time.monotonic() - begin < 30


@BOTH_WAYS
def test_all_addresses_of_a_name_are_tried(relay: Relay, call: Call) -> None:
    """The server listens on 127.0.0.1 only; localhost may be ::1 too."""
    url = with_hosts(relay.url, f"localhost:{port_of(relay.url)}")

    assert call(ask, url) == 1


@BOTH_WAYS
def test_standby_is_preferred_but_a_primary_will_do(relay: Relay, call: Call) -> None:
    hosts = (REFUSING, f"127.0.0.1:{port_of(relay.url)}")
    kind = "&target_session_attrs="

    for attributes in ("prefer-standby", "primary", "read-write", "any"):
        url = with_hosts(relay.url, *hosts, parameters=f"{kind}{attributes}")
        assert call(ask, url, "SELECT pg_is_in_recovery()") is False
    with pytest.raises(psycopg2.OperationalError, match="standby"):
        call(ask, with_hosts(relay.url, *hosts, parameters=f"{kind}standby"))


def test_loop_goes_on_while_a_connection_is_opened(silent: socket.socket) -> None:
    url = f"postgresql://{named(silent)}/db"

    async def count() -> int:
        opening = start(lambda: ask(url, connect_timeout=1))
        for turns in range(1000):
            if opening.done():
                with pytest.raises(psycopg2.OperationalError):
                    opening.result()
                return turns
            await asyncio.sleep(0.01)
        return 0

    assert asyncio.run(count()) > 10


def test_cancelled_attempt_closes_its_socket(silent: socket.socket) -> None:
    url = f"postgresql://{named(silent)}/db"

    async def cancel() -> socket.socket:
        opening = start(ask, url)
        accepted, _ = await asyncio.to_thread(silent.accept)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        return accepted

    with asyncio.run(cancel()) as accepted:
        accepted.settimeout(30)
        while accepted.recv(1000):  # what the client sent before
            pass
