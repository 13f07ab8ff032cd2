"""Tests that polls go on for the users of other nodes while a node is away, without Citus.

Partitions stand for shards: two of each table for each of two nodes. A node whose runs are locked
does not answer.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from db import engine, live, runs
from db.errors import Timeout
from tests.db.partitioned import PARTITIONS, create_partitioned

# What the coordinator knows about its nodes.
_METADATA = f"""
CREATE TABLE pg_dist_placement AS
  SELECT shardid, shardid / 2 AS groupid FROM generate_series(0, {PARTITIONS - 1}) AS shardid;
CREATE FUNCTION get_shard_id_for_distribution_column(regclass, text) RETURNS integer
  RETURN (SELECT shardid FROM pg_dist_placement
    WHERE satisfies_hash_partition($1, {PARTITIONS}, shardid, $2::varchar));
"""
USERS = [f"user {number}" for number in range(20)]

Locking = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="module")
def url(new_database: Callable[[], str], database_url: str) -> str:
    """The URL of a database that seems to be distributed. `database_url` has the roles."""
    url = new_database()
    create_partitioned(url)
    with engine.private_engine(url).begin() as connection:
        connection.exec_driver_sql(_METADATA)
    return url


@pytest.fixture
def topics(url: str) -> Iterator[list[tuple[str, ...]]]:
    """Topics of users of all nodes."""
    engine.configure(url, pool_size=2, statement_timeout_ms=1000, prepare=False)
    with engine.autocommit() as connection:
        ids = [runs.insert(connection, user_id=user, agent_id="a")[0] for user in USERS]
    yield [*(("run", *pair) for pair in zip(ids, USERS, strict=True)), ("changes", USERS[0])]
    engine.dispose()


@pytest.fixture
def locked(url: str) -> Locking:
    """Return a function that locks the runs of some partitions in a block."""

    @contextmanager
    def lock(*partitions: int) -> Iterator[None]:
        with engine.private_engine(url).begin() as connection:
            for number in partitions:
                connection.exec_driver_sql(f"LOCK TABLE runs_{number}")
            yield

    return lock


@pytest.mark.slow
def test_poll_returns_topics_of_the_nodes_that_answer(
    topics: list[tuple[str, ...]], locked: Locking
) -> None:
    everything = live.select_values(topics)
    with locked(0):
        first_away = live.select_values(topics)
        others = live.select_values(list(first_away))
    with locked(3):
        second_away = live.select_values(topics)

    assert everything.keys() == set(topics)
    assert first_away.keys() | second_away.keys() == set(topics)
    assert first_away.keys() & second_away.keys() == set()
    assert {len(first_away), len(second_away)} != {0, len(topics)}
    assert others == first_away


def test_poll_fails_if_no_node_answers(topics: list[tuple[str, ...]], locked: Locking) -> None:
    with locked(*range(PARTITIONS)), pytest.raises(Timeout):
        live.select_values(topics)


def test_poll_fails_without_distribution(database_url: str) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=300)
    with engine.private_engine(database_url).begin() as connection:
        connection.exec_driver_sql("LOCK TABLE runs")
        with pytest.raises(Timeout):
            live.select_values([("run", str(uuid.uuid4()), "user")])
    engine.dispose()
