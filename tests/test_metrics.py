"""What Prometheus reads from one worker or several, also after one was killed."""

import itertools
import os
import re
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import httpx
import psutil
import psycopg2
import pytest

from tests.contract import NOWHERE, OPERATIONS
from tests.scraping import Samples, scrape, scrape_idle, value
from tests.servers import (
    SECRET,
    Server,
    agent_api,
    clean_environment,
    command,
    free_port,
    start_server,
)
from tests.test_config import refusal

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def watched(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, metrics_port: int
) -> Iterator[Server]:
    """A server with metrics that only this module uses.

    It has one database connection, so that a second request has to wait.
    """
    folder = tmp_path_factory.mktemp("data")
    settings = {"pool_size": "1", "statement_timeout_ms": "2000"}
    with start_server(database_url, folder, metrics_port=str(metrics_port), **settings) as server:
        yield server


@pytest.mark.smoke
def test_requests_are_counted_by_operation_method_and_status(
    watched: Server, metrics_port: int
) -> None:
    name = "agent_api_http_requests_total"
    before = scrape_idle(metrics_port)

    with watched.client(f"maria-{uuid.uuid4()}") as maria:
        for _ in range(3):
            assert maria.post("/conversations", json={}).status_code == 201
        assert maria.get(f"/conversations/{NOWHERE}").status_code == 404
        assert maria.post("/conversations", json={"title": 1}).status_code == 422

    after = scrape_idle(metrics_port)

    def rise(**labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert rise(operation="create_conversation", method="POST", status="201") == 3
    assert rise(operation="get_conversation", method="GET", status="404") == 1
    assert rise(operation="create_conversation", method="POST", status="422") == 1
    counted = "agent_api_http_request_duration_seconds_count"
    assert value(after, counted, operation="create_conversation") == value(
        after, name, operation="create_conversation"
    )


def test_labels_are_limited_to_operations_and_known_methods(
    watched: Server, metrics_port: int
) -> None:
    with httpx.Client(base_url=watched.url, verify=False) as stranger:
        for number in range(20):
            stranger.get(f"/nowhere/{number}")
            stranger.request("PROPFIND", f"/{number}")
        for method in ("TRACE", "REPORT", "PROPFIND", "BREW"):
            stranger.request(method, "/conversations")

    labels = [dict(has) for name, has in scrape(metrics_port) if "_http_" in name]
    operations = {operation.operation_id for operation in OPERATIONS} | {"other"}
    methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}
    assert {found["operation"] for found in labels if "operation" in found} <= operations
    assert {found["method"] for found in labels if "method" in found} <= methods


def test_pool_use_and_waiting_times_are_measured(
    watched: Server, metrics_port: int, database_url: str
) -> None:
    in_progress = "agent_api_http_requests_in_progress"
    with watched.client(f"maria-{uuid.uuid4()}") as maria, ThreadPoolExecutor(2) as threads:
        conversation = maria.post("/conversations", json={}).json()["id"]
        path = f"/conversations/{conversation}"
        idle = scrape_idle(metrics_port)
        with psycopg2.connect(database_url) as other, other.cursor() as cursor:
            cursor.execute("SELECT FROM conversations WHERE id = %s FOR UPDATE", [conversation])
            asked = [threads.submit(maria.patch, path, json={"title": "x"}) for _ in range(2)]
            wait_for(lambda: value(scrape(metrics_port), in_progress) == 2)
            time.sleep(0.5)
            busy = scrape(metrics_port)
        assert [answer.result().status_code for answer in asked] == [200, 200]
    after = scrape_idle(metrics_port)

    def rise(name: str) -> float:
        return value(after, name) - value(idle, name)

    assert value(idle, "agent_api_db_pool_size") == 1
    assert value(idle, "agent_api_db_pool_in_use") == 0
    assert value(idle, in_progress) == 0
    assert value(busy, "agent_api_db_pool_in_use") == 1
    assert value(busy, in_progress) == 2
    assert value(after, "agent_api_db_pool_in_use") == 0
    assert value(after, in_progress) == 0
    assert rise("agent_api_db_pool_wait_seconds_count") >= 2
    assert rise("agent_api_handler_wait_seconds_count") == 2
    assert rise("agent_api_handler_wait_seconds_sum") > 0.5
    assert value(after, "agent_api_workers") == 1


def test_database_errors_are_counted_by_kind(
    watched: Server, metrics_port: int, database_url: str
) -> None:
    with watched.client(f"maria-{uuid.uuid4()}") as maria:
        conversation = maria.post("/conversations", json={}).json()["id"]
        before = scrape_idle(metrics_port)
        with psycopg2.connect(database_url) as other, other.cursor() as cursor:
            cursor.execute("SELECT FROM conversations WHERE id = %s FOR UPDATE", [conversation])
            late = maria.patch(f"/conversations/{conversation}", json={"title": "x"})
    after = scrape_idle(metrics_port)

    assert late.status_code == 504
    kinds = ("unavailable", "timeout", "too_large", "unexpected")
    name = "agent_api_db_errors_total"
    assert {dict(has)["kind"] for found, has in before if found == name} == set(kinds)
    assert [value(before, name, kind=kind) for kind in kinds] == [0, 0, 0, 0]
    assert [value(after, name, kind=kind) for kind in kinds] == [0, 1, 0, 0]


@pytest.mark.slow
def test_counts_of_a_killed_worker_are_kept(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {"metrics_port": str(port), "pool_size": "3"}
    stop = threading.Event()

    def watch() -> list[Samples]:
        scrapes = []
        while not stop.is_set():
            scrapes.append(scrape(port))
            time.sleep(0.01)
        return scrapes

    def both_serve() -> bool:
        return value(scrape(port), "agent_api_workers") == 2

    with (
        start_server(database_url, tmp_path, "--workers", "2", **settings) as server,
        ThreadPoolExecutor(1) as threads,
    ):
        wait_for(both_serve)
        folder = metrics_folder(server)
        answered = 0
        watching = threads.submit(watch)
        try:
            for _ in range(2):
                answered += ask(server, 40)
                victim, survivor = workers(server, folder)
                os.kill(victim, signal.SIGKILL)
                wait_for(partial(has_successor, server, folder, victim, survivor))
                wait_for(both_serve)
            answered += ask(server, 40)
        finally:
            stop.set()
        scrapes = watching.result()
        last = scrape_idle(port)
        assert folder.is_dir()

    assert not folder.exists()
    name = "agent_api_http_requests_total"
    assert value(last, name, operation="get_health", status="200") == answered == 120
    assert value(last, "agent_api_db_pool_size") == 6
    assert value(last, "agent_api_http_requests_in_progress") == 0
    assert len(scrapes) > 20
    for earlier, later in itertools.pairwise(scrapes):
        for (found, labels), count in earlier.items():
            if found.endswith(("_total", "_count", "_bucket", "_sum")):
                assert later[found, labels] >= count


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ask(server: Server, times: int) -> int:
    """Send GET /healthz `times` times, each on a new connection."""
    return sum(
        httpx.get(f"{server.url}/healthz", verify=False).status_code == 200 for _ in range(times)
    )


def metrics_folder(server: Server) -> Path:
    """Return the folder in which the workers count."""
    (worker, *_) = psutil.Process(server.process.pid).children()
    return Path(worker.environ()["PROMETHEUS_MULTIPROC_DIR"])


def workers(server: Server, folder: Path) -> list[int]:
    """Return the workers: the running child processes that have counted something."""
    children = psutil.Process(server.process.pid).children()
    counting = {int(re.findall(r"\d+", path.name)[-1]) for path in folder.glob("gauge_*.db")}
    return sorted(child.pid for child in children if child.pid in counting and is_alive(child))


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def has_successor(server: Server, folder: Path, victim: int, survivor: int) -> bool:
    now = workers(server, folder)
    return len(now) == 2 and survivor in now and victim not in now


def test_metrics_port_serves_only_metrics_and_names_no_software(
    watched: Server, metrics_port: int
) -> None:
    base = f"http://127.0.0.1:{metrics_port}"

    metrics, elsewhere = (httpx.get(f"{base}{path}", verify=False) for path in ("/metrics", "/"))
    posted = httpx.post(f"{base}/metrics", verify=False)
    here = httpx.get(f"{watched.url}/metrics", verify=False)

    assert metrics.headers["content-type"].startswith("text/plain")
    assert [elsewhere.status_code, posted.status_code, here.status_code] == [404, 405, 404]
    assert posted.headers["allow"] == "GET, HEAD"
    for answer in (metrics, elsewhere, posted):
        assert answer.headers["server"] == "agent-api"
        assert "Python" not in answer.text


def test_metrics_port_allows_only_get_and_head(watched: Server, metrics_port: int) -> None:
    url = f"http://127.0.0.1:{metrics_port}/metrics"

    head = httpx.head(url, verify=False)
    others = [httpx.request(name, url, verify=False) for name in ("PUT", "DELETE", "OPTIONS", "X")]
    nothing = httpx.head(f"{url}/more", verify=False)

    assert (head.status_code, head.content, nothing.status_code) == (200, b"", 404)
    assert head.headers["content-type"].startswith("text/plain")
    assert int(head.headers["content-length"]) > 1000
    for other in others:
        assert (other.status_code, other.headers["allow"]) == (405, "GET, HEAD")


def test_metrics_contain_no_user_id_or_title(watched: Server, metrics_port: int) -> None:
    user = f"maria-{uuid.uuid4()}"
    with watched.client(user) as maria:
        conversation = maria.post("/conversations", json={"title": "A secret title"}).json()["id"]
        maria.get(f"/conversations/{conversation}")

    text = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics", verify=False).text

    for secret in (user, conversation, "secret title"):
        assert secret not in text


def test_occupied_metrics_port_is_reported_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = agent_api(
            "serve",
            "--port",
            str(free_port()),
            data_dir=str(tmp_path / "data"),
            jwt_secret=SECRET,
            log_format="text",
            metrics_port=str(port),
        )

    assert done.returncode == 2
    assert done.stderr == (
        f"agent-api: Cannot serve metrics on 127.0.0.1 port {port}: Address already in use. "
        "Choose another with AGENT_API_METRICS_HOST and AGENT_API_METRICS_PORT.\n"
    )
    assert done.stdout == ""
    assert not (tmp_path / "data" / "postgres").exists()


@pytest.mark.process
def test_metrics_folder_of_a_killed_server_is_removed_by_the_next_start(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    unlocked = temporary / "agent-api-metrics-unlocked"
    unlocked.mkdir()

    def start() -> AbstractContextManager[Server]:
        return start_server(database_url, tmp_path, metrics_port=str(free_port()))

    with start():
        of_first = set(temporary.iterdir())
        with start() as second:
            second.process.kill()
            second.process.wait()
        of_second = set(temporary.iterdir()) - of_first
        with start():
            after = set(temporary.iterdir())

    assert len(of_second) == 1
    assert of_first < after
    assert not of_second & after
    assert list(temporary.iterdir()) == [unlocked]


def test_metrics_port_must_differ_from_the_port_of_the_api() -> None:
    assert refusal(port="9000", metrics_port="9000") == (
        "AGENT_API_METRICS_PORT 9000 is the port of the API: choose another"
    )


def test_metrics_and_tracing_are_not_imported_when_off(database_url: str, tmp_path: Path) -> None:
    code = (
        "import sys; from agent_api.app import create_app; from agent_api.settings import Settings;"
        "import agent_api.server.run; create_app(Settings.load());"
        "print([name for name in ('prometheus_client', 'opentelemetry.sdk',"
        " 'agent_api.observability.metrics', 'agent_api.observability.tracing')"
        " if name in sys.modules])"
    )
    said = subprocess.check_output(
        [command()[0], "-c", code],
        env=clean_environment(database_url=database_url, data_dir=str(tmp_path), jwt_secret=SECRET),
        text=True,
    )

    assert said == "[]\n"
