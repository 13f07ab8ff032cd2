"""Tests of starting, sharing and stopping the embedded server."""

import time
from pathlib import Path

import psutil
import pytest

from db import embedded
from tests.embedded.accounts import ONE_ACCOUNT, ORDINARY_ACCOUNT
from tests.embedded.place import Place, postmaster, query
from tests.processes import wait_until

pytestmark = pytest.mark.process


@ORDINARY_ACCOUNT
def test_concurrent_first_starts_share_one_server(fresh: Place) -> None:
    clients = [fresh.start() for _ in range(3)]
    urls = {client.answer() for client in clients}

    assert len(urls) == 1
    assert len({postmaster(client.answer()) for client in clients}) == 1
    assert len(fresh.processes("postgres")) == 1
    created = [line for client in clients for line in client.progress if "Creating" in line]
    assert len(created) == 1


@ONE_ACCOUNT
def test_server_stops_after_the_last_client(place: Place) -> None:
    first, second = place.attach(), place.attach()
    first.leave()
    time.sleep(0.6)  # longer than the supervisor's polling interval
    query(second.answer(), "select 1")

    second.leave()

    wait_until(lambda: embedded.is_stopped(place.data))
    assert not place.processes("postgres")


@ORDINARY_ACCOUNT
def test_client_that_attaches_during_a_stop_gets_a_new_server(place: Place) -> None:
    for _ in range(3):
        clients = [place.start() for _ in range(2)]
        for client in clients:
            assert query(client.answer(), "select 1") == [(1,)]
        for client in clients:
            client.leave()


DROP_SHARES = """
import gc, sys, time
from pathlib import Path
import psycopg2
from db.embedded import attach

first = attach(Path(sys.argv[1]), durable=False)
url = attach(Path(sys.argv[1]), durable=False).url
first.close()
first.close()
gc.collect()
time.sleep(0.6)  # longer than the supervisor's polling interval
psycopg2.connect(url).close()
"""


@ONE_ACCOUNT
def test_shares_of_one_process_are_independent_and_outlive_their_object(place: Place) -> None:
    place.run(DROP_SHARES)

    wait_until(lambda: embedded.is_stopped(place.data))


@ONE_ACCOUNT
def test_server_is_private_durable_and_in_utc(place: Place) -> None:
    url = place.attach(durable=True).answer()
    names = "listen_addresses TimeZone max_connections fsync synchronous_commit full_page_writes"
    found = {name: query(url, "select current_setting(%s)", name)[0][0] for name in names.split()}

    assert found == {
        "listen_addresses": "",
        "TimeZone": "UTC",
        "max_connections": "200",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
    }
    sockets = Path(query(url, "show unix_socket_directories")[0][0].strip('"'))
    assert sockets.stat().st_mode & 0o777 == 0o700


@ONE_ACCOUNT
def test_durable_client_refuses_a_server_that_is_not_durable(place: Place) -> None:
    place.attach(durable=False)

    line = place.start(durable=True).answer()

    assert "durable=False" in line
    assert "end the processes" in line


def test_server_inherits_nothing_from_the_process_that_started_it(place: Place) -> None:
    client = place.attach()
    for process in place.processes("supervisor") + place.processes("postgres"):
        assert process.cwd() in {"/", str(place.folder / "data")}
        assert set(process.environ()) <= {"PATH", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PGDATA"}
        assert process.terminal() is None
        assert psutil.Process(client.process.pid).pid not in {p.pid for p in process.parents()}
    other = place.attach()

    # communicate() returns only when no process holds the other end of the pipes.
    client.leave()

    assert query(other.answer(), "select 1") == [(1,)]


@ONE_ACCOUNT
def test_log_is_limited_and_contains_no_data(place: Place) -> None:
    url = place.attach().answer()
    log = place.folder / "server.log"
    with pytest.raises(Exception, match="secret-word"):
        query(url, "select 'secret-word'::int")
    with log.open("ab") as file:
        file.write(b"x" * 6_000_000)
    wait_until(lambda: log.stat().st_size < 2_000_000)

    assert b"secret-word" not in log.read_bytes()
    assert b"select" not in log.read_bytes()
