"""The alerts in deploy/prometheus/alerts.yml fire for real faults and for nothing else.

promtool evaluates the rules on samples scraped from /metrics. Consecutive scrapes count as 30
seconds apart, so that minutes pass within a test.
"""

import os
import re
import shutil
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from sqlalchemy import make_url

import migrations
from db import schema
from tests.contract import CONTRACT
from tests.deploy.monitoring import RULES
from tests.guide import section
from tests.hostile.load import wait_for_writers
from tests.live.following import following, running
from tests.metrics.processes import metrics_folder, workers
from tests.processes import wait_until
from tests.promtool import assert_firing
from tests.scraping import Samples, scrape, value
from tests.servers import Server, free_port, start_server, wait_until_ready
from tests.workers import LEASE_SECONDS, Worker, claimed_run

pytestmark = [pytest.mark.slow, pytest.mark.process]

SCRAPES_OF_TEN_MINUTES = 22
"""The second one starts the ten minutes, because a rate needs two samples."""


@dataclass
class Watched:
    """A server, and all samples that were scraped from it."""

    server: Server
    port: int
    database_url: str
    scrapes: list[Samples] = field(default_factory=list)

    def scrape(self) -> None:
        """Scrape once, and add the labels that Prometheus adds."""
        mine = {("job", "agent-api"), ("instance", f"127.0.0.1:{self.port}")}
        try:
            found = scrape(self.port)
        except httpx.ConnectError:
            samples: Samples = {("up", frozenset(mine)): 0}
        else:
            samples = {("up", frozenset(mine)): 1}
            samples |= {(name, labels | mine): v for (name, labels), v in found.items()}
        self.scrapes.append(samples)

    def scrape_while(self, act: Callable[[], object]) -> None:
        """Scrape for ten simulated minutes, and call `act` before each scrape."""
        for _ in range(SCRAPES_OF_TEN_MINUTES):
            act()
            self.scrape()

    def rest(self) -> None:
        """Scrape for ten simulated minutes in which nothing happens."""
        self.scrape_while(lambda: None)

    def assert_firing(self, *alerts: str) -> None:
        """Fail unless exactly these alerts fire at the last scrape."""
        assert_firing(RULES, self.scrapes, set(alerts))


@pytest.fixture(scope="module")
def watched(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """A server with one connection and its own database, which tests may break."""
    url, port = new_database(), free_port()
    schema.upgrade(url, migrations.FOLDER)
    settings = {"pool_size": "1", "statement_timeout_ms": "60000", "metrics_port": str(port)}
    with start_server(url, tmp_path_factory.mktemp("data"), **settings) as server:
        yield Watched(server, port, url)


@pytest.fixture
def maria(watched: Watched) -> Iterator[httpx.Client]:
    with watched.server.client(f"maria-{uuid.uuid4()}") as client:
        yield client


def test_alerts_name_existing_metrics_labels_and_operations(watched: Watched) -> None:
    with watched.server.client(f"maria-{uuid.uuid4()}") as maria:
        maria.get("/conversations")
    text = httpx.get(f"http://127.0.0.1:{watched.port}/metrics", verify=False).text
    there_are = set(re.findall(r"^(agent_api_\w+)", text, re.MULTILINE))
    table = section("Metrics")
    operations = {
        item[method]["operationId"]
        for item in CONTRACT["paths"].values()
        for method in item.keys() & {"get", "put", "post", "patch", "delete"}
    }

    told = set(re.findall(r"\bagent_api_\w+", table))
    watched_for = {name for rule in RULES for name in re.findall(r"\bagent_api_\w+", rule["expr"])}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in there_are}
    assert told | watched_for <= there_are | families
    assert families <= told
    for rule in RULES:
        for label, name in re.findall(r'(\w+)!?="(\w+)"', rule["expr"]):
            if label == "operation":
                assert name in operations | {"other"}
        for label in re.findall(r"(\w+)[!=]~?\"", rule["expr"]):
            assert label == "job" or re.search(rf'[{{,]{label}="', text)


def test_healthy_server_fires_no_alert(watched: Watched, maria: httpx.Client) -> None:
    def use() -> None:
        assert maria.post("/conversations", json={}).status_code == 201
        assert maria.get("/readyz").status_code == 200

    watched.scrape_while(use)

    watched.assert_firing()


def test_one_request_that_holds_the_whole_pool_fires_the_pool_alerts(
    watched: Watched, maria: httpx.Client
) -> None:
    """The other requests time out before they get a connection."""
    # Changes of one conversation would wait without a connection.
    conversation, *rest = (
        maria.post("/conversations", json={}).json()["id"]
        for _ in range(SCRAPES_OF_TEN_MINUTES + 1)
    )
    user = maria.headers["Authorization"]
    answers: list[httpx.Response] = []

    def rename(conversation: str) -> None:
        url = f"{watched.server.url}/conversations/{conversation}"
        headers = {"Authorization": user}
        answers.append(
            httpx.patch(url, json={"title": "x"}, headers=headers, timeout=60, verify=False)
        )

    first, *others = (
        threading.Thread(target=rename, args=[each]) for each in (conversation, *rest)
    )
    with closing(psycopg2.connect(watched.database_url)) as other, other.cursor() as cursor:
        cursor.execute("UPDATE conversations SET title = title WHERE id = %s", [conversation])
        first.start()
        wait_for_writers(watched.database_url, 1)  # not a sweep: it uses the pool, too
        for thread in others:
            thread.start()
            time.sleep(0.15)
        ending = iter(others)
        watched.scrape_while(lambda: next(ending).join(60))
        watched.assert_firing(
            "AgentApiFails", "AgentApiPoolExhausted", "AgentApiPoolNearlyExhausted", "AgentApiSlow"
        )
    first.join(60)

    assert sorted(answer.status_code for answer in answers) == [200, *[503] * len(others)]
    watched.rest()
    watched.assert_firing()


def test_late_events_fire_an_alert(watched: Watched, maria: httpx.Client) -> None:
    """A transaction that stays open for over a second delays the event that it has written."""
    run = running(maria)
    with closing(psycopg2.connect(watched.database_url)) as other, other.cursor() as cursor:

        def append_late() -> None:
            cursor.execute(
                "UPDATE runs SET last_sequence = last_sequence + 1 WHERE id = %s", [run["id"]]
            )
            cursor.execute(
                "INSERT INTO run_events (run_id, user_id, sequence, type, data)"
                " SELECT id, created_by, last_sequence, 'late', '{}' FROM runs WHERE id = %s",
                [run["id"]],
            )
            time.sleep(1.2)
            other.commit()
            assert next(events).event == "late"

        with following(maria, run) as events:
            next(events)
            watched.scrape_while(append_late)
    watched.assert_firing("AgentApiStreamsDelayed")

    watched.rest()
    watched.assert_firing()


def test_leases_that_expire_and_sweeps_that_are_refused_fire_alerts(
    watched: Watched, maria: httpx.Client
) -> None:
    worker = Worker(watched.server)
    with worker.client:
        runs = [claimed_run(maria, worker, lease_seconds=LEASE_SECONDS) for _ in range(7)]
    constraint = "ADD CONSTRAINT ck_none CHECK (status <> 'pending') NOT VALID"
    with changed(watched.database_url, f"ALTER TABLE runs {constraint}") as undo:
        watched.scrape()
        refused = {"sweep": "expiry", "result": "refused"}
        name = "agent_api_sweeps_total"
        wait_until(lambda: value(scrape(watched.port), name, **refused) > 0, seconds=30)
        watched.scrape()
        watched.assert_firing("AgentApiSweepRefused")
        undo("ALTER TABLE runs DROP CONSTRAINT ck_none")

    expired = "agent_api_expired_leases_total"
    wait_until(lambda: value(scrape(watched.port), expired) == len(runs), seconds=30)
    watched.scrape()
    watched.scrape()
    watched.assert_firing("AgentApiSweepRefused", "AgentApiLeasesExpire")
    watched.rest()
    watched.rest()
    watched.assert_firing()


def test_one_defect_fires_an_alert(watched: Watched, maria: httpx.Client) -> None:
    conversation = maria.post("/conversations", json={}).json()["id"]
    path, hello = f"/conversations/{conversation}/messages", {"role": "user", "content": "Hello"}
    watched.rest()
    constraint = "ADD CONSTRAINT ck_short CHECK (char_length(content) < 5) NOT VALID"
    with changed(watched.database_url, f"ALTER TABLE messages {constraint}") as undo:
        assert maria.post(path, json=hello).status_code == 500
        undo("ALTER TABLE messages DROP CONSTRAINT ck_short")

    watched.scrape()
    watched.scrape()

    watched.assert_firing("AgentApiDefect")
    watched.rest()
    watched.rest()
    watched.assert_firing()


def test_unavailable_database_fires_not_ready_and_failure_alerts(
    watched: Watched, maria: httpx.Client
) -> None:
    name = make_url(watched.database_url).database

    def ask() -> None:
        assert maria.get("/readyz").status_code == 503
        assert maria.get("/conversations").status_code == 503

    admin = make_url(watched.database_url).set(database="postgres")
    with changed(
        admin.render_as_string(hide_password=False),
        f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false',
        f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'",
    ) as undo:
        watched.scrape_while(ask)
        undo(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    watched.assert_firing("AgentApiNotReady", "AgentApiFails", "AgentApiDatabaseFails")
    wait_until_ready(watched.server)
    watched.rest()
    watched.assert_firing()


def test_killed_worker_and_killed_server_fire_alerts(watched: Watched, tmp_path: Path) -> None:
    port = free_port()
    settings = {"metrics_port": str(port)}
    with start_server(watched.database_url, tmp_path, "--workers", "2", **settings) as server:
        both = Watched(server, port, watched.database_url)
        wait_for_workers(port, 2)
        both.rest()
        both.assert_firing()

        os.kill(workers(server, metrics_folder(server))[0], signal.SIGKILL)
        wait_for_workers(port, 1)
        for _ in range(6):
            both.scrape()
        both.assert_firing("AgentApiWorkersDie")
        wait_for_workers(port, 2)
        both.scrape()
        both.assert_firing()

        folder = metrics_folder(server)
        server.process.kill()
        server.process.wait()
        shutil.rmtree(folder)  # as the next start would
        for _ in range(3):
            both.scrape()
        both.assert_firing("AgentApiDown", "AgentApiNoServer")


def wait_for_workers(port: int, count: int) -> None:
    deadline = time.monotonic() + 60
    while value(scrape(port), "agent_api_workers") != count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def changed(url: str, *statements: str) -> Iterator[Callable[[str], Any]]:
    """Run statements in autocommit mode; yield a function that runs another one."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)
        yield cursor.execute
