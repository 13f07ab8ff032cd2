"""The primary dies or freezes while clients write, and its synchronous standby takes its place."""

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
from tests.servers import Server, start_server

pytestmark = pytest.mark.slow

WRITERS, WORKERS = 32, "2"
PRIMARY = [
    "synchronous_standby_names=standby",
    "synchronous_commit=on",
    "wal_level=replica",
    "max_wal_senders=4",
]


@contextmanager
def primary_and_standby() -> Iterator[tuple[Postgres, Postgres]]:
    """A primary that acknowledges only what its standby has on disk too."""
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
    """It is told both hosts, and to use the one that can be written to."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in pair)
    url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
    schema.upgrade(url, migrations.FOLDER)
    with start_server(
        url, tmp_path, "--workers", WORKERS, statement_timeout_ms="2000", log_level="warning"
    ) as running:
        yield running


def test_nothing_acknowledged_is_lost_when_the_primary_dies(
    pair: tuple[Postgres, Postgres], api: Server
) -> None:
    primary, standby = pair

    with Load(api, WRITERS) as load:
        load.wait_for(5_000)
        primary.send_all(signal.SIGKILL)
        primary.wait_for_end()
        standby.ask("SELECT pg_promote()")
        back = standby.wait("SELECT NOT pg_is_in_recovery()")
        load.wait_for(10_000)

    load.tell(back)
    assert load.faults() == []
    assert max(load.seconds_to_recover(back).values()) < 2
    assert load.longest() < 15
    assert load.acknowledged() >= 10_000
    load.assert_kept()


def test_nothing_acknowledged_is_lost_when_the_primary_freezes(
    pair: tuple[Postgres, Postgres], api: Server
) -> None:
    """It closes no connection and accepts new ones; libpq goes on to the next host after a time."""
    primary, standby = pair

    with Load(api, WRITERS) as load:
        load.wait_for(1_000)
        primary.send_all(signal.SIGSTOP)
        standby.ask("SELECT pg_promote()")
        back = standby.wait("SELECT NOT pg_is_in_recovery()")
        load.wait_for(load.acknowledged() + 1_000)
        healthy = httpx.get(f"{api.url}/healthz", timeout=10, verify=False)
        ready = httpx.get(f"{api.url}/readyz", timeout=10, verify=False)
    primary.end()

    load.tell(back)
    assert load.faults() == []
    # The statement's two seconds and one, then two for the host that does not answer.
    assert max(load.seconds_to_recover(back).values()) < 15
    assert load.longest() < 15
    assert (healthy.status_code, ready.status_code) == (200, 200)
    load.assert_kept()


def test_what_the_standby_does_not_have_is_not_acknowledged(
    pair: tuple[Postgres, Postgres], api: Server
) -> None:
    """The primary waits for the standby for as long as it is away; the client does not."""
    _, standby = pair
    # 504: the conversation is locked by the write before, which the server waits on.
    load = Load(api, 4, refusals=(503, 504))
    standby.send(signal.SIGINT)
    standby.wait_for_end()

    with load:
        load.wait_for_answers(8)
        ready = httpx.get(f"{api.url}/readyz", timeout=10, verify=False)
        back = time.monotonic()
        standby.start()
        load.wait_for(100)

    load.tell(back)
    assert load.faults() == []
    assert not [answer for answer in load.answers() if answer.status == 201 and answer.end < back]
    assert ready.status_code == 200  # it answers, and only a write would show it
    load.assert_kept()
