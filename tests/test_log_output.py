"""Where the log goes: no line is lost or mixed, and a broken output fails no request."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.processes import wait_until
from tests.servers import (
    SECRET,
    Server,
    clean_environment,
    command,
    free_port,
    start_server,
    wait_until_ready,
)

pytestmark = pytest.mark.process

REQUESTS = 400
LONG_ID = "x" * 120
"""With it, the lines of the requests are longer than a pipe holds."""


@contextmanager
def logging_to(output: int, name: str, **settings: str) -> Iterator[Server]:
    """Run `agent-api NAME` with standard error on a file descriptor, which is closed here."""
    port = free_port()
    process = subprocess.Popen(
        command(name),
        env=clean_environment(port=str(port), **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=output,
    )
    os.close(output)
    server = Server(f"http://127.0.0.1:{port}", process, Path(os.devnull))
    try:
        wait_until_ready(server, "/healthz")
        yield server
    finally:
        process.terminate()
        assert process.wait(30) == 0


def send(server: Server, count: int, prefix: str = LONG_ID) -> set[str]:
    """Send requests on one connection, and return their ids."""
    ids = {f"{prefix}-{number}" for number in range(count)}
    with httpx.Client(base_url=server.url, timeout=10, verify=False) as client:
        for request_id in ids:
            response = client.get("/healthz", headers={"X-Request-Id": request_id})
            assert response.status_code == 200
    return ids


def send_concurrently(server: Server) -> set[str]:
    with ThreadPoolExecutor(8) as threads:
        prefixes = [f"{number}{LONG_ID}" for number in range(8)]
        sent = threads.map(lambda prefix: send(server, REQUESTS // 8, prefix), prefixes)
        return set().union(*sent)


def logged_ids(log: str) -> list[str]:
    """Return the ids of the requests with a line, sorted; all lines must be JSON."""
    lines = [json.loads(line) for line in log.splitlines()]
    return sorted(line["request_id"] for line in lines if line["message"] == "request")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_requests_do_not_wait_for_a_reader_that_is_stuck(log_format: str) -> None:
    reading, writing = os.pipe()
    log = bytearray()

    def read() -> None:
        while piece := os.read(reading, 65536):
            log.extend(piece)

    reader = threading.Thread(target=read)
    with logging_to(writing, "mock", log_format=log_format) as mock:
        sent = send(mock, REQUESTS)
        reader.start()
        wait_until(lambda: all(request_id.encode() in log for request_id in sent))
    reader.join()
    os.close(reading)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_full_disk_and_closed_pipe_fail_no_request(log_format: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for output in (writing, os.open("/dev/full", os.O_WRONLY)):
        with logging_to(output, "mock", log_format=log_format) as mock:
            assert len(send(mock, 100)) == 100


@pytest.mark.parametrize("workers", ["1", "2"])
def test_server_that_stops_has_logged_each_request(
    workers: str, database_url: str, tmp_path: Path
) -> None:
    with start_server(database_url, tmp_path, workers=workers) as server:
        sent = send_concurrently(server)

    logged = logged_ids(server.log.read_text())
    assert [each for each in logged if each in sent] == sorted(sent)


def test_lines_of_workers_that_share_a_slow_pipe_are_not_mixed(
    database_url: str, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    log = bytearray()
    is_sent = threading.Event()

    def read() -> None:
        while piece := os.read(reading, 1000):
            log.extend(piece)
            is_sent.wait(0.01)  # so that the pipe is full most of the time

    reader = threading.Thread(target=read)
    reader.start()
    settings = {"data_dir": str(tmp_path), "database_url": database_url, "jwt_secret": SECRET}
    with logging_to(writing, "serve", workers="2", **settings) as server:
        sent = send_concurrently(server)
        is_sent.set()
    reader.join()
    os.close(reading)

    logged = logged_ids(log.decode())
    assert [each for each in logged if each in sent] == sorted(sent)
