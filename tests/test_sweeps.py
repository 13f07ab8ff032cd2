"""Tests that a server deletes what no request needs any more, of all users."""

import json
import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from sqlalchemy import make_url

import migrations
from db import engine, schema, sweeps
from db.rate_limits import Limit
from tests.calls import new_conversation, new_run
from tests.contract import assert_problem
from tests.mirror import CHANGES, changes_after, position
from tests.processes import wait_until
from tests.servers import start_server
from tests.workers import Worker, new_agent

pytestmark = pytest.mark.process

INSERT_KEYS = """
INSERT INTO idempotency_keys (user_id, key, fingerprint, status, headers, body, expires_at)
SELECT %s, n, sha256(''), 201, '{}', '', now() + %s * interval '1 s' FROM generate_series(1, %s) n
"""
KEPT = sweeps.Retention(transient_events=timedelta(hours=1), changes=timedelta(days=30))
CLOSE_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
)
NOT_ACCEPTED = "is not currently accepting connections"
COUNT_KEYS = "SELECT count(*) FROM idempotency_keys WHERE user_id = %s"


def execute(url: str, sql: str, *values: object) -> Any:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql, values)
        row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]


def test_server_deletes_expired_responses_of_all_users_and_full_buckets(
    new_migrated_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_migrated_database()
    expired, valid = f"gone-{uuid.uuid4()}", f"here-{uuid.uuid4()}"
    execute(url, INSERT_KEYS, expired, -1, 2 * sweeps.BATCH_ROWS + 1)
    execute(url, INSERT_KEYS, valid, 3600, 5)
    execute(
        url,
        "INSERT INTO rate_limits SELECT 'user ' || n, 1, true, now() - interval '1 h'"
        " FROM generate_series(1, 1500) n",
    )

    with start_server(url, tmp_path, rate_limit_per_minute="60"):
        wait_until(lambda: execute(url, COUNT_KEYS, expired) == 0)
        wait_until(lambda: execute(url, "SELECT count(*) FROM rate_limits") == 0)

    assert execute(url, COUNT_KEYS, valid) == 5


INSERT_CHANGES = """
INSERT INTO changes (id, user_id, type)
SELECT (lpad(to_hex((extract(epoch FROM now() - %s * interval '1 day') * 1000)::bigint), 12, '0')
        || '7000800000000000' || lpad(to_hex(n), 4, '0'))::uuid, %s, 'run.updated'
FROM generate_series(1, %s) n
"""
COUNT_CHANGES = "SELECT count(*) FROM changes WHERE user_id = %s"


def test_server_deletes_old_changes_and_their_positions_expire(
    new_migrated_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_migrated_database()
    follower, absent, other = (f"{name}-{uuid.uuid4()}" for name in ("reads", "absent", "other"))

    with start_server(url, tmp_path, change_retention_days="3") as server:
        # One user has read part of the log, one has read none of what is old, one has only read it.
        with server.client(follower) as client:
            execute(url, INSERT_CHANGES, 2.9, follower, 3)
            assert position(client) == 3
        with server.client(absent) as client:
            assert position(client) == 0
            execute(url, INSERT_CHANGES, 2.9, absent, 2 * sweeps.BATCH_ROWS + 1)
            execute(url, INSERT_CHANGES, 0.1, absent, 2)
        execute(url, INSERT_CHANGES, 2.9, other, 5)
        execute(url, INSERT_CHANGES, 0.1, other, 1)

    with start_server(url, tmp_path, change_retention_days="2") as server:
        wait_until(lambda: execute(url, COUNT_CHANGES, absent) == 2)
        wait_until(lambda: execute(url, COUNT_CHANGES, other) == 1)
        wait_until(lambda: execute(url, COUNT_CHANGES, follower) == 0)
        with server.client(follower) as client:
            assert position(client) == 3
            assert_problem(client.get(CHANGES, params={"after": 2}), 410)
            assert list(changes_after(client, 3)) == []
        with server.client(absent) as client:
            end = 2 * sweeps.BATCH_ROWS + 3
            assert position(client) == end
            assert_problem(client.get(CHANGES, params={"after": 0}), 410)
            assert [each["sequence"] for each in changes_after(client, end - 2)] == [end - 1, end]
        with server.client(other) as client:
            assert position(client) == 6
            assert [each["sequence"] for each in changes_after(client, 5)] == [6]


def test_server_logs_that_the_database_refused_a_sweep(
    new_migrated_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_migrated_database()
    execute(url, "DROP FUNCTION delete_expired_keys")

    with start_server(url, tmp_path) as server:
        wait_until(lambda: "sweep failed" in server.log.read_text())

    assert "Traceback" in server.log.read_text()


def test_server_logs_in_one_line_why_a_sweep_could_not_reach_the_database(
    new_database: Callable[[], str], admin_url: str, tmp_path: Path
) -> None:
    url = new_database()
    name = make_url(url).database
    schema.upgrade(url, migrations.FOLDER)

    with start_server(url, tmp_path) as server:
        execute(admin_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        execute(admin_url, CLOSE_CONNECTIONS, name)
        wait_until(lambda: NOT_ACCEPTED in server.log.read_text(), seconds=20)

    line = next(each for each in server.log.read_text().splitlines() if NOT_ACCEPTED in each)
    logged = json.loads(line)
    assert (logged["message"], "exc_info" in logged) == ("sweep failed", False)
    assert logged["reason"].startswith("the database cannot be reached: ")


def test_only_one_session_sweeps(new_migrated_database: Callable[[], str]) -> None:
    url = new_migrated_database()  # no server sweeps here
    user = f"gone-{uuid.uuid4()}"
    execute(url, INSERT_KEYS, user, -1, 1)
    engine.configure(url, pool_size=1, statement_timeout_ms=5000)
    try:
        with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock({sweeps.LOCK})")
            sweeps.run(limit=Limit(5, 1.0), kept=KEPT)
            assert execute(url, COUNT_KEYS, user) == 1
            other.rollback()  # closing the connection does not wait for the end of the lock
        sweeps.run(limit=Limit(5, 1.0), kept=KEPT)
        assert execute(url, COUNT_KEYS, user) == 0
    finally:
        engine.dispose()


def test_server_lets_a_run_continue_whose_predecessor_a_1_0_server_has_ended(
    new_migrated_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_migrated_database()
    agent = new_agent()
    with start_server(url, tmp_path) as server, server.client("maria") as maria:
        new = {"agent_id": agent, "conversation_id": new_conversation(maria)["id"]}
        first = new_run(maria, status="running", **new)
        second = new_run(maria, if_busy="queue", **new)
    end = "UPDATE runs SET status = 'succeeded', finished_at = now() WHERE id = %s"
    execute(url, end, first["id"])
    assert execute(url, "SELECT waits FROM runs WHERE id = %s", second["id"])

    with start_server(url, tmp_path) as server:
        worker = Worker(server)
        with worker.client:
            claim = worker.claim(agent, wait_seconds=20)

    assert claim.run["id"] == second["id"]


def test_server_deletes_expired_links_and_their_snapshots(
    new_migrated_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_migrated_database()
    with start_server(url, tmp_path) as server, server.client("maria") as maria:
        path = maria.post("/conversations", json={}).headers["location"]
        made = [
            maria.post(f"{path}/links", json={"expires_at": expires_at}).json()
            for expires_at in (None, "2036-01-01T00:00:00Z", "2036-01-01T00:00:00Z")
        ]
    execute(
        url,
        "UPDATE links SET expires_at = now() - interval '1 s' WHERE id = %s",
        made[2]["id"],
    )

    with (
        start_server(url, tmp_path) as server,
        httpx.Client(base_url=server.url, verify=False) as anyone,
    ):
        wait_until(lambda: execute(url, "SELECT count(*) FROM links") == 2)
        statuses = [anyone.get(f"/shared/{link['secret']}").status_code for link in made]

    assert statuses == [200, 200, 404]
    assert execute(url, "SELECT count(*) FROM published_conversations") == 2


def test_buckets_of_addresses_and_users_are_deleted_by_their_own_limits(
    new_migrated_database: Callable[[], str],
) -> None:
    url = new_migrated_database()
    rows = "INSERT INTO rate_limits SELECT %s, 1, true, now() - interval '10 s'"
    for bucket in ("a user", "\x1f198.51.100.7"):
        execute(url, rows, bucket)
    engine.configure(url, pool_size=1, statement_timeout_ms=5000)
    full, filling = Limit(5, 1.0), Limit(100, 0.01)
    left = "SELECT string_agg(user_id, ',') FROM rate_limits"
    try:
        sweeps.run(limit=filling, link_limit=full, kept=KEPT)
        assert execute(url, left) == "a user"
        sweeps.run(limit=None, link_limit=full, kept=KEPT)
        assert execute(url, left) == "a user"
        sweeps.run(limit=full, link_limit=full, kept=KEPT)
        assert execute(url, left) is None
    finally:
        engine.dispose()
