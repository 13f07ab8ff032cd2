"""Tests in which the cluster of docs/operations/high-availability.md fails over by itself.

Clients write and read through two servers, while the leader loses its power, hands over, or is cut
off from the network.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import psycopg2
import pytest

from tests.failover.cluster import (
    Cluster,
    database_url,
    leader_url,
    new_cluster,
    skip_unless_possible,
)
from tests.failover.load import Load
from tests.servers import Server, free_port, start_server

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(400)]

WRITERS, READERS, WORKERS = 8, 2, "2"
"""The load on each of the two servers."""
# 409 and 504: the previous write is waiting for a standby, and holds the key's lock or the
# conversation's.
REFUSALS = (409, 503, 504)
SECONDS_TO_CONTINUE = 60

logger = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    skip_unless_possible()
    with new_cluster() as running:
        yield running


@pytest.fixture(scope="module")
def servers(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                start_server(
                    database_url(machine),
                    tmp_path_factory.mktemp(machine.name),
                    *("--workers", WORKERS),
                    log_level="warning",
                    metrics_port=str(free_port()),
                )
            )
            for machine in cluster.apis
        ]


@contextmanager
def load_on(servers: Sequence[Server]) -> Iterator[list[Load]]:
    """Write and read through all servers, until all acknowledged writes are checked."""
    with ExitStack() as stack:
        loads = [Load(server, WRITERS, refusals=REFUSALS, readers=READERS) for server in servers]
        for load in loads:
            stack.enter_context(load)
        wait_for_writes(loads)
        yield loads
        wait_for_writes(loads)
    for load in loads:
        assert load.faults() == []
        load.assert_kept()


def wait_for_writes(loads: Sequence[Load]) -> None:
    for load in loads:
        load.wait_for(load.acknowledged() + 300)


def assert_continued(loads: Sequence[Load], since: float) -> None:
    """Check that the writes of each worker succeeded again soon after `since`."""
    for load in loads:
        load.log_figures(since)
        assert max(load.seconds_to_recover(since).values()) < SECONDS_TO_CONTINUE
        assert load.longest() < 15


def test_create_message_continues_when_the_leader_loses_its_power(
    cluster: Cluster, servers: list[Server]
) -> None:
    leader = cluster.leader()

    with load_on(servers) as loads:
        since = time.monotonic()
        leader.kill()
        wait_for_writes(loads)
        assert_continued(loads, since)
        assert cluster.leader() != leader
        leader.start()
        cluster.wait_until_healthy()


def test_create_message_continues_when_the_synchronous_standby_loses_its_power(
    cluster: Cluster, servers: list[Server]
) -> None:
    standby = cluster.find("Sync Standby")

    with load_on(servers) as loads:
        since = time.monotonic()
        standby.kill()
        wait_for_writes(loads)
        assert_continued(loads, since)
        standby.start()
        cluster.wait_until_healthy()


def test_create_message_continues_after_a_switchover(
    cluster: Cluster, servers: list[Server]
) -> None:
    leader = cluster.leader()

    with load_on(servers) as loads:
        since = time.monotonic()
        cluster.patronictl("switchover", "--force")
        wait_for_writes(loads)
        assert_continued(loads, since)
        assert cluster.leader() != leader
        cluster.wait_until_healthy()


def test_create_message_continues_when_the_leader_is_cut_off(
    cluster: Cluster, servers: list[Server]
) -> None:
    """A program on the leader still reaches PostgreSQL, but gets no acknowledgement either."""
    leader = cluster.leader()

    with load_on(servers) as loads:
        with closing(psycopg2.connect(leader_url(leader))) as connection:
            connection.autocommit = True
            inside = connection.cursor()
            inside.execute("CREATE TABLE inside (number integer)")
            since = time.monotonic()
            leader.cut_off()
            inside.execute("SELECT NOT pg_is_in_recovery()")
            assert inside.fetchone() == (True,)
            with pytest.raises(psycopg2.OperationalError):
                inside.execute("INSERT INTO inside VALUES (1)")
        wait_for_writes(loads)
        assert_continued(loads, since)
        assert cluster.leader() != leader
        leader.reconnect()
        cluster.wait_until_healthy()
