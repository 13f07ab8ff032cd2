"""What HAProxy does and nginx cannot: it asks servers whether they are ready."""

from pathlib import Path

import httpx
import pytest

from tests.deploy.nodes import Nodes
from tests.deploy.proxies import start_proxy
from tests.processes import wait_until
from tests.servers import Server

pytestmark = [pytest.mark.process, pytest.mark.slow]


def test_server_that_is_not_ready_gets_no_requests(
    nodes: Nodes, unready: Server, tmp_path: Path
) -> None:
    with (
        start_proxy("haproxy", [unready, nodes[1]], tmp_path) as proxy,
        proxy.client("maria") as maria,
    ):
        wait_until(lambda: statuses(maria, 10) == {201})
        assert statuses(maria, 40) == {201}


def statuses(client: httpx.Client, count: int) -> set[int]:
    """Return how the proxy answers requests that it never repeats."""
    return {client.post("/conversations", json={}).status_code for _ in range(count)}
