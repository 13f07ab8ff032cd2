"""Which requests have a line in the log, and which client address it shows."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import wait_until
from tests.proxies import proxy
from tests.servers import Server, start_server
from tests.test_request_log import line_of

pytestmark = pytest.mark.process

CLIENT = "198.51.100.7"
SPOOFED = "203.0.113.66"


@pytest.fixture(scope="module")
def behind_proxy(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that trusts proxies on this machine, in 10.0.0.0/8 and fd00::/8."""
    folder = tmp_path_factory.mktemp("data")
    settings = {"log_client_address": "on", "trusted_proxies": "127.0.0.0/8, 10.0.0.0/8,fd00::/8"}
    with start_server(database_url, folder, **settings) as running:
        yield running


def logged_client(url: str, server: Server, *forwarded: str, **headers: str) -> Any:
    """Send a request with X-Forwarded-For lines, and return the client in its log line."""
    request_id = str(uuid.uuid4())
    sent = [("X-Request-Id", request_id), *headers.items()]
    sent += [("X-Forwarded-For", line) for line in forwarded]
    assert httpx.get(f"{url}/healthz", headers=sent, verify=False).status_code == 200
    return line_of(server, request_id)["client"]


def test_address_comes_from_a_trusted_proxy(behind_proxy: Server) -> None:
    for client in (CLIENT, "2001:db8::7"):
        headers = {"X-Forwarded-For": client}
        with proxy(behind_proxy, "/api", strips=True, headers=headers) as origin:
            assert logged_client(f"{origin}/api", behind_proxy) == client


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], "127.0.0.1"),
        ([f"{SPOOFED}, {CLIENT}"], CLIENT),
        ([f"{SPOOFED}, {CLIENT}, 10.1.2.3"], CLIENT),
        ([SPOOFED, CLIENT, "fd00::1"], CLIENT),
        ([f"{SPOOFED}, {CLIENT}:5000"], CLIENT),
        (["[2001:DB8::7]:5000"], "2001:db8::7"),
        ([f"::ffff:{CLIENT}"], CLIENT),
        ([f"{CLIENT}, ::ffff:10.1.2.3"], CLIENT),
        (["10.1.2.3, 10.4.5.6"], "10.1.2.3"),  # the client is in a trusted network itself
        (["fe80::7%eth0"], "fe80::7"),
        ([f"fe80::7%{'x' * 1000} status=200"], "fe80::7"),
        ([f"{SPOOFED}, unknown"], None),
        (['"},{"level":"ERROR"'], None),
        ([""], "127.0.0.1"),
    ],
)
def test_right_most_address_that_is_not_trusted_is_logged(
    lines: list[str], client: str | None, behind_proxy: Server
) -> None:
    assert logged_client(behind_proxy.url, behind_proxy, *lines) == client


def test_forwarded_header_is_not_read(behind_proxy: Server) -> None:
    """A proxy that appends to X-Forwarded-For passes a client's Forwarded on."""
    client = logged_client(behind_proxy.url, behind_proxy, CLIENT, Forwarded=f"for={SPOOFED}")

    assert client == CLIENT


@pytest.mark.parametrize("settings", [{}, {"trusted_proxies": "10.0.0.0/8"}], ids=["none", "other"])
def test_header_of_a_peer_that_is_not_trusted_is_ignored(
    settings: dict[str, str], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # what uvicorn reads by default
    with start_server(database_url, tmp_path, log_client_address="on", **settings) as server:
        assert logged_client(server.url, server, SPOOFED) == "127.0.0.1"


def test_address_is_not_logged_by_default(server: Server) -> None:
    request_id = str(uuid.uuid4())
    headers = {"X-Request-Id": request_id}
    httpx.get(f"{server.url}/healthz", headers=headers, verify=False)

    assert "client" not in line_of(server, request_id)


def test_probes_can_be_left_out_unless_they_fail(database_url: str, tmp_path: Path) -> None:
    with start_server(database_url, tmp_path, log_probes="off") as server:
        for path in ("/healthz", "/readyz", "/docs"):
            for method in ("GET", "HEAD"):
                httpx.request(method, f"{server.url}{path}", verify=False)
        httpx.get(f"{server.url}/healthz?x=1", headers={"X-Request-Id": "x"}, verify=False)
        httpx.post(f"{server.url}/readyz", headers={"X-Request-Id": "last"}, verify=False)
        wait_until(lambda: '"request_id":"last"' in server.log.read_text())

    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    requests = [(line["method"], line["status"]) for line in lines if line["message"] == "request"]
    # A line is written after its response, so lines of different connections may change places.
    assert sorted(requests) == [("GET", 200), ("HEAD", 200), ("POST", 405)]
