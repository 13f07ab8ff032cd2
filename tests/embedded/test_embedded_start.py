"""Start and stop: the first time, again, together, one after another."""

import time
from pathlib import Path

import psutil
import pytest

from db import embedded
from tests.embedded.accounts import ONE_ACCOUNT, ORDINARY_ACCOUNT
from tests.embedded.place import Place, postmaster, query, wait_until


def test_first_start_makes_a_database_that_the_second_finds(fresh: Place) -> None:
    client = fresh.attach(durable=True)
    url = client.answer()
    query(url, "create table kept as select 1 as id")
    client.leave()
    wait_until(lambda: embedded.is_stopped(fresh.data))

    again = fresh.attach(durable=True)

    assert any("Creating a new database" in line for line in client.progress)
    assert not any("Creating a new database" in line for line in again.progress)
    assert again.answer() == url
    assert query(url, "select id from kept") == [(1,)]


@ORDINARY_ACCOUNT
def test_processes_that_race_at_the_first_start_share_one_server(fresh: Place) -> None:
    clients = [fresh.start() for _ in range(3)]
    urls = {client.answer() for client in clients}

    assert len(urls) == 1
    assert len({postmaster(client.answer()) for client in clients}) == 1
    assert len(fresh.processes("postgres")) == 1
    made = [line for client in clients for line in client.progress if "Creating" in line]
    assert len(made) == 1


@ONE_ACCOUNT
def test_the_server_stops_soon_after_the_last_one_leaves(place: Place) -> None:
    first, second = place.attach(), place.attach()
    first.leave()
    time.sleep(0.6)  # more than the supervisor's pause
    query(second.answer(), "select 1")

    second.leave()

    assert wait_until(lambda: embedded.is_stopped(place.data)) < 3
    assert not place.processes("postgres")


@ORDINARY_ACCOUNT
def test_who_comes_while_the_server_stops_gets_a_new_one(place: Place) -> None:
    for _ in range(3):
        clients = [place.start() for _ in range(2)]
        for client in clients:
            assert query(client.answer(), "select 1") == [(1,)]
        for client in clients:
            client.leave()


DROPPED = """
import gc, sys, time
from pathlib import Path
import psycopg2
from db.embedded import attach

first = attach(Path(sys.argv[1]), durable=False)
url = attach(Path(sys.argv[1]), durable=False).url
first.close()
first.close()
gc.collect()
time.sleep(0.6)  # more than the supervisor's pause
psycopg2.connect(url).close()
"""


@ONE_ACCOUNT
def test_shares_of_one_process_are_separate_and_outlive_their_object(place: Place) -> None:
    place.run(DROPPED)

    wait_until(lambda: embedded.is_stopped(place.data))


@ONE_ACCOUNT
def test_settings_are_those_of_a_private_server_in_utc(place: Place) -> None:
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
def test_who_asks_for_a_durable_server_is_not_given_another(place: Place) -> None:
    place.attach(durable=False)

    line = place.start(durable=True).answer()

    assert "durable=False" in line
    assert "end the processes" in line


def test_what_runs_keeps_nothing_of_the_process_that_started_it(place: Place) -> None:
    client = place.attach()
    for process in place.processes("supervisor") + place.processes("postgres"):
        assert process.cwd() in {"/", str(place.folder / "data")}
        assert set(process.environ()) <= {"PATH", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PGDATA"}
        assert process.terminal() is None
        assert psutil.Process(client.process.pid).pid not in {p.pid for p in process.parents()}
    other = place.attach()

    # communicate() returns only when nobody holds the other end of the pipes.
    client.leave()

    assert query(other.answer(), "select 1") == [(1,)]


@ONE_ACCOUNT
def test_the_log_is_bounded_and_tells_nothing_of_the_content(place: Place) -> None:
    url = place.attach().answer()
    log = place.folder / "server.log"
    with pytest.raises(Exception, match="secret-word"):
        query(url, "select 'secret-word'::int")
    with log.open("ab") as file:
        file.write(b"x" * 6_000_000)
    wait_until(lambda: log.stat().st_size < 2_000_000)

    assert b"secret-word" not in log.read_bytes()
    assert b"select" not in log.read_bytes()
