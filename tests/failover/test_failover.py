"""Tests of failover to a synchronous standby while clients write."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import migrations
from db import schema
from tests.failover.load import Load
from tests.failover.postgres import Postgres, new_servers
from tests.servers import Server, free_port, start_server

pytestmark = [pytest.mark.process, pytest.mark.slow]

WRITERS, READERS, WORKERS = 32, 4, "2"
PRIMARY = [
    "synchronous_standby_names=standby",
    "synchronous_commit=on",
    "wal_level=replica",
    "max_wal_senders=4",
]


@contextmanager
def primary_and_standby() -> Iterator[tuple[Postgres, Postgres]]:
    """Yield a primary with a synchronous standby."""
    with new_servers(PRIMARY, []) as (primary, standby):
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name=standby"
        standby.settings = [f"primary_conninfo={source}"]
        standby.touch("standby.signal")
        primary.start()
        standby.start()
        primary.wait("SELECT sync_state = 'sync' FROM pg_stat_replication")
        yield primary, standby


@pytest.fixture
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    with primary_and_standby() as servers:
        yield servers


@pytest.fixture
def api(pair: tuple[Postgres, Postgres], tmp_path: Path) -> Iterator[Server]:
    """A server that knows both hosts and uses the writable one."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in pair)
    url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
    schema.upgrade(url, migrations.FOLDER)
    settings = {"statement_timeout_ms": "2000", "metrics_port": str(free_port())}
    with start_server(
        url, tmp_path, "--workers", WORKERS, log_level="warning", **settings
    ) as running:
        yield running


def test_create_message_keeps_acknowledged_messages_when_the_primary_dies(
    pair: tuple[Postgres, Postgres], api: Server
) -> None:
    primary, standby = pair

    with Load(api, WRITERS, readers=READERS) as load:
        load.wait_for(5_000)
        primary.send_all(signal.SIGKILL)
        primary.wait_for_end()
        standby.ask("SELECT pg_promote()")
        back = standby.wait("SELECT NOT pg_is_in_recovery()")
        load.wait_for(10_000)

    load.log_figures(back)
    assert load.faults() == []
    assert max(load.seconds_to_recover(back).values()) < 2
    assert load.longest() < 15
    assert load.acknowledged() >= 10_000
    load.assert_kept()


def test_create_message_keeps_acknowledged_messages_when_the_primary_freezes(
    pair: tuple[Postgres, Postgres], api: Server
) -> None:
    """A frozen server keeps its connections open; libpq tries the next host after a timeout."""
    primary, standby = pair

    with Load(api, WRITERS, readers=READERS) as load:
        load.wait_for(1_000)
        primary.send_all(signal.SIGSTOP)
        standby.ask("SELECT pg_promote()")
        back = standby.wait("SELECT NOT pg_is_in_recovery()")
        load.wait_for(load.acknowledged() + 1_000)
        healthy = httpx.get(f"{api.url}/healthz", timeout=10, verify=False)
        ready = httpx.get(f"{api.url}/readyz", timeout=10, verify=False)
    primary.end()

    load.log_figures(back)
    assert load.faults() == []
    # 3 s for the statement, then 2 s to connect to the host that does not answer.
    assert max(load.seconds_to_recover(back).values()) < 15
    assert load.longest() < 15
    assert (healthy.status_code, ready.status_code) == (200, 200)
    load.assert_kept()


def test_create_message_acknowledges_only_messages_on_the_standby(
    pair: tuple[Postgres, Postgres], api: Server
) -> None:
    """The primary waits for the standby without limit, but clients get an error in time."""
    _, standby = pair
    # 504 and 409: the previous write is waiting for the standby, and holds the conversation's lock
    # or the key's.
    load = Load(api, 4, refusals=(409, 503, 504))
    standby.send(signal.SIGINT)
    standby.wait_for_end()

    with load:
        load.wait_for_answers(8)
        ready = httpx.get(f"{api.url}/readyz", timeout=10, verify=False)
        back = time.monotonic()
        standby.start()
        load.wait_for(100)

    load.log_figures(back)
    assert load.faults() == []
    assert not [answer for answer in load.answers() if answer.status == 201 and answer.end < back]
    assert ready.status_code == 200  # only writes are affected
    load.assert_kept()
