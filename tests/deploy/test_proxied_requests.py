"""Requests through nginx and HAProxy reach the servers unchanged, and get their responses."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from tests.calls import create, new_conversation, read
from tests.contract import assert_problem
from tests.deploy.nodes import Nodes
from tests.deploy.proxies import FILES, Proxy, start_proxy
from tests.wire import Wire, head

pytestmark = [pytest.mark.process, pytest.mark.slow]

KIB = 1024
BELOW_API = {
    "nginx": {"location / {": "location /api/ {"},
    "haproxy": {
        "default_backend agent_api": "use_backend agent_api if { path /api } or { path_beg /api/ }"
    },
}
"""What docs/operations/proxies.md says about publishing the API below a path."""


def test_path_reaches_the_server_unchanged(maria: httpx.Client) -> None:
    conversation = new_conversation(maria)
    shares = f"/conversations/{conversation['id']}/shares"
    for user in ("team/../b", "x//y", "100%"):
        create(maria, shares, user_id=user, role="viewer")

    for path in ("team%2F..%2Fb", "x%2F%2Fy", "100%25"):
        assert maria.delete(f"{shares}/{path}").status_code == 204

    assert read(maria, shares)["shares"] == []


def test_too_large_body_gets_the_problem_of_the_server(proxy: Proxy, maria: httpx.Client) -> None:
    json_body = {"Content-Type": "application/json"}
    sent = maria.post("/conversations", content=b" " * 8_000_000, headers=json_body)
    lines = [b"Content-Type: application/json", b"Content-Length: 10000000000"]
    with Wire(proxy) as wire:
        wire.send(head("POST /conversations", *lines) + b" " * 100_000)
        announced = wire.receive("POST")

    problem = assert_problem(sent, 413)
    assert announced.problem(413) == problem
    assert "1048576 bytes" in problem["detail"]


@pytest.mark.parametrize("size", [8 * KIB, 16 * KIB, 60 * KIB])
def test_long_token_is_accepted(size: int, proxy: Proxy) -> None:
    with proxy.client("maria", groups="g" * (size * 3 // 4)) as client:
        assert len(client.headers["authorization"]) > size
        assert client.get("/conversations").status_code == 200


def test_too_long_header_gets_a_problem(maria: httpx.Client) -> None:
    response = maria.get("/conversations", headers={"X-Long": "a" * 70 * KIB})

    assert assert_problem(response, 431)["type"] == "/problems/headers-too-large"


def test_idle_connection_serves_the_next_request(proxy: Proxy) -> None:
    """Whether the proxy or the server closes an idle connection first, no request is lost."""

    def statuses(pause: float) -> list[int]:
        with proxy.client(f"maria-{pause}") as client:
            found = [client.post("/conversations", json={}).status_code]
            time.sleep(pause)
            return [*found, client.post("/conversations", json={}).status_code]

    pauses = [0.5, 0.7, *(1.9 + number / 50 for number in range(11)), 2.5]
    with ThreadPoolExecutor(len(pauses)) as pool:
        found = list(pool.map(statuses, pauses))

    assert found == [[201, 201]] * len(pauses)


def assert_pages_work(base: str) -> None:
    """Follow the references of the pages, as a browser would."""
    with httpx.Client(verify=False, follow_redirects=True) as client:
        for path in ("/", "/docs"):
            page = client.get(f"{base}{path}")
            references = re.findall(r'(?:href|src)="([^"#]+)"', page.text)
            assert len(references) >= 3
            for reference in references:
                url = urljoin(str(page.url), reference)
                assert url.startswith(f"{base}/")
                assert client.get(url).status_code == 200, url
        assert client.get(f"{base}/openapi.json").json()["openapi"] == "3.0.3"


def test_pages_are_served(proxy: Proxy) -> None:
    assert_pages_work(proxy.url)


@pytest.mark.parametrize("name", sorted(FILES))
def test_everything_is_served_below_a_path(name: str, nodes: Nodes, tmp_path: Path) -> None:
    page = Path("docs/operations/proxies.md").read_text("utf-8")
    assert all(new in page for new in BELOW_API[name].values())

    with start_proxy(name, nodes, tmp_path, BELOW_API[name]) as proxy:
        assert_pages_work(f"{proxy.url}/api")
        with proxy.client("maria") as maria:
            made = maria.post("/api/conversations", json={})
            found = maria.get(made.headers["location"])
            outside = maria.get("/conversations")

    assert made.headers["location"].startswith("/api/conversations/")
    assert found.json()["id"] == made.json()["id"]
    assert outside.status_code in (404, 503)
