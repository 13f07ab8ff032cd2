"""Two nodes, and proxies in front of them, which all tests of proxies share."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.deploy.nodes import Nodes, start_nodes
from tests.deploy.proxies import FILES, Proxy, start_proxy
from tests.servers import Server, start_version

# Like the files' 60 s and the server's 75 s, but short.
IDLE_SECONDS = {"nginx": "keepalive_timeout 60s;", "haproxy": "timeout http-keep-alive 60s"}
KEEP_ALIVE_SECONDS = 2
CLIENT_TIMEOUT_SECONDS = 2


@pytest.fixture(scope="session")
def nodes(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two servers that can also be published below /api."""
    with start_nodes(
        database_url,
        tmp_path_factory.mktemp("nodes"),
        client_timeout_seconds=str(CLIENT_TIMEOUT_SECONDS),
        keep_alive_seconds=str(KEEP_ALIVE_SECONDS),
        root_path="/api",
    ) as running:
        yield running


@pytest.fixture(scope="session")
def proxies(
    nodes: Nodes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Proxy]]:
    """Both proxies in front of the two servers."""
    with ExitStack() as stack:
        running = {}
        for name, line in IDLE_SECONDS.items():
            changes = {line: line.replace("60s", f"{KEEP_ALIVE_SECONDS - 1}s")}
            started = start_proxy(name, nodes, tmp_path_factory.mktemp(name), changes)
            running[name] = stack.enter_context(started)
        yield running


@pytest.fixture(params=sorted(FILES))
def proxy(proxies: Mapping[str, Proxy], request: pytest.FixtureRequest) -> Proxy:
    """Each of the proxies."""
    return proxies[request.param]


@pytest.fixture
def maria(proxy: Proxy) -> Iterator[httpx.Client]:
    """A client of the proxy."""
    with proxy.client("maria") as client:
        yield client


@pytest.fixture(scope="session")
def unready(
    new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server whose database has not been migrated."""
    folder = tmp_path_factory.mktemp("unready")
    with start_version(Path.cwd(), new_database(), folder, ready_path="/healthz") as server:
        yield server
