"""Tests that restart PostgreSQL while clients write: they get 503 until it is back."""

import signal
import time
from collections.abc import Iterator

import pytest

import migrations
from db import schema
from tests.failover.load import Load
from tests.failover.postgres import Postgres, new_servers
from tests.scraping import scrape_idle, value
from tests.servers import Server, free_port, start_server

pytestmark = [pytest.mark.process, pytest.mark.slow]

WRITERS, READERS, WORKERS = 16, 4, "2"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with new_servers([]) as (server,):
        server.start()
        server.wait()
        schema.upgrade(server.url, migrations.FOLDER)
        yield server


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def api(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory, metrics_port: int
) -> Iterator[Server]:
    with start_server(
        postgres.url,
        tmp_path_factory.mktemp("api"),
        *("--workers", WORKERS),
        metrics_port=str(metrics_port),
    ) as running:
        yield running


@pytest.mark.parametrize(
    "shutdown",
    [
        pytest.param(signal.SIGINT, id="fast stop"),
        pytest.param(signal.SIGQUIT, id="immediate stop"),
        pytest.param(signal.SIGKILL, id="kill -9 of the postmaster"),
    ],
)
def test_create_message_continues_after_a_restart(
    postgres: Postgres, api: Server, metrics_port: int, shutdown: signal.Signals
) -> None:
    with Load(api, WRITERS, readers=READERS) as load:
        load.wait_for(500)
        postgres.send(shutdown)
        postgres.wait_for_end()
        time.sleep(1)
        postgres.start()
        back = postgres.wait()
        load.wait_for(load.acknowledged() + 500)
        time.sleep(1)

    load.log_figures(back)
    assert load.faults() == []
    assert max(load.seconds_to_recover(back).values()) < 2
    assert load.longest() < 15
    assert {answer.status for answer in load.answers()} == {201, 503}
    load.assert_kept()
    assert value(scrape_idle(metrics_port), "agent_api_db_pool_in_use") == 0
