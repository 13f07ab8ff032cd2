"""What nginx does differently from HAProxy."""

from pathlib import Path

import pytest

from tests.deploy.nodes import Nodes
from tests.deploy.proxies import Proxy, start_proxy
from tests.servers import Server
from tests.wire import Wire

pytestmark = [pytest.mark.process, pytest.mark.slow]


def test_only_reads_succeed_while_a_server_is_not_ready(
    nodes: Nodes, unready: Server, tmp_path: Path
) -> None:
    """A POST that a server has refused is not repeated."""
    with (
        start_proxy("nginx", [unready, nodes[1]], tmp_path) as proxy,
        proxy.client("maria") as maria,
    ):
        read = {maria.get("/conversations").status_code for _ in range(20)}
        written = {maria.post("/conversations", json={}).status_code for _ in range(20)}

    assert read == {200}
    assert written == {201, 503}


@pytest.mark.parametrize("proxy", ["nginx"], indirect=True)
def test_broken_request_gets_a_problem(proxy: Proxy) -> None:
    """HAProxy's response to a broken request cannot be changed."""
    with Wire(proxy) as wire:
        wire.send(b"GET / HTTP/1.1\r\nbroken header\r\n\r\n")
        assert wire.receive().problem(400)["type"] == "/problems/bad-request"
