"""A server with a small body limit."""

from collections.abc import Iterator

import pytest

from tests.protocol.cases import APP_ORIGINS, ORIGIN, SMALL
from tests.servers import Server, start_server


@pytest.fixture(scope="session")
def small_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a small body limit that allows ORIGIN and APP_ORIGINS."""
    folder = tmp_path_factory.mktemp("small")
    origins = ", ".join([ORIGIN, *APP_ORIGINS])
    with start_server(
        database_url, folder, cors_origins=origins, max_body_bytes=str(SMALL)
    ) as running:
        yield running
