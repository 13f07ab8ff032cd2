"""nginx and HAProxy with the files in deploy/: timeouts, addresses, logs, and errors."""

import json
import re
import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from agent_api.live.streams import KEEP_ALIVE_SECONDS
from agent_api.settings import Settings
from tests.calls import new_conversation, post_message
from tests.contract import CONTRACT, assert_problem
from tests.deploy.nodes import Nodes
from tests.deploy.proxies import FILES, Proxy, start_proxy
from tests.processes import wait_until
from tests.publishing.publishing import publish, shown
from tests.servers import free_port
from tests.wire import Wire

pytestmark = [pytest.mark.process, pytest.mark.slow]

SPOOFED = "203.0.113.66"
NO_PATIENCE = {
    "nginx": {"proxy_read_timeout 60s": "proxy_read_timeout 100ms"},
    "haproxy": {"timeout server 60s": "timeout server 100ms"},
}


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def received(silent: socket.socket) -> Iterator[bytes]:
    """Yield the method of the first request on each connection."""
    with suppress(BlockingIOError):
        while True:
            connection, _ = silent.accept()
            with connection:
                yield connection.recv(4096).split()[0]


@pytest.fixture(params=sorted(FILES))
def without_nodes(
    request: pytest.FixtureRequest, tmp_path: Path, nodes: Nodes, silent: socket.socket
) -> Iterator[Proxy]:
    """Each proxy in front of the silent port and a port on which nothing listens."""
    ports = (free_port(), silent.getsockname()[1])
    absent = [replace(nodes[0], url=f"http://127.0.0.1:{port}") for port in ports]
    with start_proxy(request.param, absent, tmp_path, NO_PATIENCE[request.param]) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("name", "idle", "response", "head"),
    [
        ("nginx", "keepalive_timeout", "proxy_read_timeout", "client_header_timeout"),
        ("haproxy", "timeout http-keep-alive", "timeout server", "timeout http-request"),
    ],
)
def test_timeouts_fit_those_of_the_server(name: str, idle: str, response: str, head: str) -> None:
    text = Path(FILES[name]).read_text("utf-8")
    seconds = {
        each: int(found)
        for each in (idle, response, head)
        for found in re.findall(rf"^ *{each} (\d+)s", text, re.MULTILINE)
    }
    server = Settings()
    longest_claim = CONTRACT["components"]["schemas"]["RunClaim"]["properties"]["wait_seconds"]

    assert seconds[idle] < server.keep_alive_seconds
    assert seconds[response] > max(longest_claim["maximum"], KEEP_ALIVE_SECONDS)
    assert seconds[response] > server.grace_seconds
    assert seconds[head] == server.client_timeout_seconds


def test_request_has_one_id_in_all_logs(proxy: Proxy, nodes: Nodes) -> None:
    given = str(uuid.uuid4())
    url = f"{proxy.url}/healthz"
    kept, made, replaced = (
        httpx.get(url, headers=headers, verify=False).headers["x-request-id"]
        for headers in ({"X-Request-Id": given}, {}, {"X-Request-Id": 'a "b", c'})
    )

    assert kept == given
    assert len({kept, made, replaced}) == 3
    for request_id in (kept, made, replaced):
        nodes.line_of(request_id)
    wait_until(lambda: all(each in proxy.logs() for each in (kept, made, replaced)))


def test_server_sees_the_address_of_the_client(proxy: Proxy, nodes: Nodes) -> None:
    request_id = str(uuid.uuid4())
    headers = {"X-Request-Id": request_id, "X-Forwarded-For": SPOOFED}
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as client:
        client.get(f"{proxy.url}/healthz", headers=headers)

    assert json.loads(nodes.line_of(request_id))["client"] == "127.0.0.2"


def read_link_and_search(proxy: Proxy, secret: str) -> str:
    """Send requests that must not be in the log, and return the id of a last one."""
    for path in (
        f"/shared/{secret}",
        f"/%73hared/{secret}",
        f"//shared/{secret}",
        "/search?q=gout",
    ):
        httpx.get(f"{proxy.url}{path}", verify=False)
        with Wire(proxy) as wire:
            wire.send(f"GET {path} HTTP/1.1\r\nHost: api\r\nbroken {secret}\r\n\r\n".encode())
            wire.receive_raw(1)
    return httpx.get(f"{proxy.url}/healthz", verify=False).headers["x-request-id"]


def test_log_has_no_secrets_and_no_searched_words(proxy: Proxy, maria: httpx.Client) -> None:
    conversation = new_conversation(maria)
    post_message(maria, conversation, "Hello")
    link = publish(maria, conversation)
    assert shown(maria, link)

    last = read_link_and_search(proxy, link["secret"])

    wait_until(lambda: last in proxy.logs())
    assert link["secret"] not in proxy.logs()
    assert "gout" not in proxy.logs()


def test_log_of_failures_has_no_secrets_and_no_searched_words(without_nodes: Proxy) -> None:
    secret = "a-secret-of-a-link"

    last = read_link_and_search(without_nodes, secret)

    wait_until(lambda: last in without_nodes.logs())
    assert secret not in without_nodes.logs()
    assert "gout" not in without_nodes.logs()


def test_proxy_without_servers_answers_with_a_problem(without_nodes: Proxy) -> None:
    ids: list[str] = []

    for method in ("GET", "POST", "HEAD", "POST"):
        response = httpx.request(method, f"{without_nodes.url}/conversations", verify=False)

        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["retry-after"] == "1"
        ids.append(response.headers["x-request-id"])
        if method != "HEAD":
            assert assert_problem(response, 503)["type"] == "/problems/unavailable"

    wait_until(lambda: all(each in without_nodes.logs() for each in ids))


@pytest.mark.parametrize("name", sorted(FILES))
def test_only_safe_requests_are_sent_twice(
    name: str, nodes: Nodes, silent: socket.socket, tmp_path: Path
) -> None:
    node = replace(nodes[0], url=f"http://127.0.0.1:{silent.getsockname()[1]}")
    key = {"Idempotency-Key": str(uuid.uuid4())}
    with start_proxy(name, [node, node], tmp_path, NO_PATIENCE[name]) as proxy:
        for method in ("DELETE", "PUT", "PATCH", "POST"):
            response = httpx.request(method, f"{proxy.url}/runs", headers=key, verify=False)
            assert response.status_code == 503
        sent = Counter(received(silent))

    assert (sent[b"POST"], sent[b"PATCH"]) == (1, 1)
    assert sent[b"PUT"] == sent[b"DELETE"] > 1
