"""A server with metrics."""

from collections.abc import Iterator

import pytest

from tests.servers import Server, free_port, start_server


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
