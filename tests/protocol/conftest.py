"""One user for all tests of a file, and a server with a small body limit."""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.contract import Rows, make_rows
from tests.protocol.cases import APP_ORIGINS, ORIGIN, SMALL
from tests.servers import Server, start_server


@pytest.fixture(scope="module")
def user(server: Server) -> Iterator[httpx.Client]:
    """One user for all tests of this module."""
    with server.client(f"user-{uuid.uuid4()}") as client:
        yield client


@pytest.fixture(scope="module")
def rows(user: httpx.Client) -> Rows:
    """Rows of this user, for requests that are refused before they change anything."""
    return make_rows(user)


@pytest.fixture(scope="session")
def small_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a small body limit that allows ORIGIN and APP_ORIGINS."""
    folder = tmp_path_factory.mktemp("small")
    origins = ", ".join([ORIGIN, *APP_ORIGINS])
    with start_server(
        database_url, folder, cors_origins=origins, max_body_bytes=str(SMALL)
    ) as running:
        yield running
