"""Reads from a replica: users read their own writes, also if the replica lags or ends."""

import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import migrations
from db import schema
from tests.failover.postgres import Postgres, new_servers
from tests.processes import wait_until
from tests.servers import Server, start_server
from tests.silence import Relay

pytestmark = [pytest.mark.process, pytest.mark.slow]

USERS, TIMES = 16, 8
PRIMARY = ["wal_level=replica", "max_wal_senders=4"]
STATEMENTS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'agent-api' AND query LIKE '%EXECUTE select%'"
)
BUT_SWEEPS = " AND query NOT LIKE '%agent_api_existence%'"


@pytest.fixture
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    """A primary with the schema, and an asynchronous replica."""
    with new_servers(PRIMARY, []) as (primary, replica):
        replica.settings = [f"primary_conninfo=host=127.0.0.1 port={primary.port} user=postgres"]
        replica.touch("standby.signal")
        for server in (primary, replica):
            server.start()
            server.wait()
        schema.upgrade(primary.url, migrations.FOLDER)
        yield primary, replica


@pytest.fixture
def api(pair: tuple[Postgres, Postgres], tmp_path: Path) -> Iterator[Server]:
    primary, replica = pair
    with start_server(
        primary.url, tmp_path, "--workers", "2", read_database_url=replica.url
    ) as running:
        yield running


def catch_up(primary: Postgres, replica: Postgres) -> None:
    end = primary.ask("SELECT pg_current_wal_insert_lsn()")
    replica.wait(f"SELECT pg_last_wal_replay_lsn() >= '{end}'")


def write_and_read(api: Server) -> None:
    """Check that a user reads each of their writes at once, by requests to any worker."""
    user = f"user-{uuid.uuid4()}"
    for number in range(TIMES):
        with api.client(user) as writer:
            conversation = writer.post("/conversations", json={"title": f"{number}"}).json()
            path = f"/conversations/{conversation['id']}/messages"
            message = writer.post(path, json={"role": "user", "content": "Hello"}).json()
            writer.put("/users/me/chat-settings", json={"max_tokens": number + 1})
        with api.client(user) as reader:
            page = reader.get("/conversations").json()
            assert (page["total"], page["conversations"][0]["id"]) == (
                number + 1,
                conversation["id"],
            )
            assert [each["id"] for each in reader.get(path).json()["messages"]] == [message["id"]]
            assert reader.get(f"/messages/{message['id']}").status_code == 200
            assert reader.get("/users/me/chat-settings").json()["max_tokens"] == number + 1


@pytest.mark.parametrize("lag", ["0", "5s"])
def test_users_read_their_own_writes(
    pair: tuple[Postgres, Postgres], api: Server, lag: str
) -> None:
    primary, replica = pair
    catch_up(primary, replica)
    replica.ask(f"ALTER SYSTEM SET recovery_min_apply_delay = '{lag}'")
    replica.ask("SELECT pg_reload_conf()")

    with ThreadPoolExecutor(USERS) as threads:
        for done in [threads.submit(write_and_read, api) for _ in range(USERS)]:
            done.result()


def test_reads_use_a_replica_that_is_up_to_date(
    pair: tuple[Postgres, Postgres], api: Server
) -> None:
    primary, replica = pair
    with api.client("reader") as client:
        conversation = client.post("/conversations", json={}).json()
        catch_up(primary, replica)
        time.sleep(1.1)  # a replica that was behind is left alone for a second

        read = [client.get(f"/conversations/{conversation['id']}") for _ in range(20)]
        unknown = client.get(f"/conversations/{uuid.uuid4()}")

    assert {response.status_code for response in read} == {200}
    assert unknown.status_code == 404
    assert replica.ask(STATEMENTS) != 0
    assert primary.ask(STATEMENTS + BUT_SWEEPS) == 0


def test_reads_continue_on_the_primary_while_the_replica_is_down(
    pair: tuple[Postgres, Postgres], api: Server
) -> None:
    primary, replica = pair
    with api.client("reader") as client:
        conversation = client.post("/conversations", json={}).json()
        path = f"/conversations/{conversation['id']}"
        catch_up(primary, replica)
        time.sleep(1.1)
        assert client.get(path).status_code == 200

        replica.send_all(signal.SIGKILL)
        replica.wait_for_end()
        during = [client.get(path).status_code for _ in range(20)]
        replica.start()
        replica.wait()

        def is_used() -> object:
            assert client.get(path).status_code == 200
            return replica.ask(STATEMENTS)

        wait_until(lambda: bool(is_used()))

    assert set(during) == {200}


def test_reads_are_a_503_while_the_primary_is_a_standby(
    pair: tuple[Postgres, Postgres], api: Server
) -> None:
    """After a failover, the old address may lead to a standby until it is changed."""
    primary, _ = pair
    with api.client("reader") as client:
        conversation = client.post("/conversations", json={}).json()
        primary.send(signal.SIGINT)
        primary.wait_for_end()
        primary.touch("standby.signal")
        primary.start()
        primary.wait("SELECT pg_is_in_recovery()")
        time.sleep(1)  # until the server connects again

        statuses = {client.get(f"/conversations/{conversation['id']}").status_code for _ in "12345"}

    assert statuses == {503}


def test_reads_do_not_wait_for_a_replica_that_falls_silent(
    pair: tuple[Postgres, Postgres], tmp_path: Path
) -> None:
    primary, replica = pair
    with (
        Relay(replica.url) as relay,
        start_server(primary.url, tmp_path, read_database_url=relay.url) as api,
        api.client("reader") as client,
    ):
        conversation = client.post("/conversations", json={}).json()
        path = f"/conversations/{conversation['id']}"
        catch_up(primary, replica)
        time.sleep(1.1)
        assert client.get(path).status_code == 200
        assert replica.ask(STATEMENTS) != 0

        relay.fall_silent()
        begin = time.monotonic()
        statuses = [client.get(path).status_code for _ in range(20)]

        assert set(statuses) == {200}
        assert time.monotonic() - begin < 5  # a statement may take 6 s
