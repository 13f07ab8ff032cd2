"""What the tests share: a real PostgreSQL, a real server on a port, and clients with tokens.

Tests do not clean up. Each one acts as users whom nobody else knows, so what the others left behind
is out of its sight, just as it is for the users of the product.
"""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import psycopg2
import pytest
from sqlalchemy import make_url

import migrations
from db import embedded, schema
from tests import log_watch
from tests.servers import Server, start_server

# A deadline would fail an example because the machine is busy.
hypothesis.settings.register_profile("dev", max_examples=20, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=200, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_configure(config: pytest.Config) -> None:
    """Give the run one folder, which the workers of pytest-xdist find in their environment."""
    if "TEST_FOLDER" not in os.environ:
        # Not in pytest's own temporary folder: the account that runs PostgreSQL for root cannot
        # enter it.
        folder = Path(tempfile.mkdtemp(prefix="agent-api-test-"))
        folder.chmod(0o711)
        os.environ["TEST_FOLDER"] = str(folder)
        config.add_cleanup(lambda: _remove(folder))


def _remove(folder: Path) -> None:
    """Remove the run's folder once the database server that was in it has stopped."""
    deadline = time.monotonic() + 10
    while not embedded.is_stopped(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def quiet_log() -> Iterator[None]:
    """Fail the run where the code that ran in this process logged a token or content."""
    with log_watch.watching_this_process():
        yield


@pytest.fixture(scope="session")
def admin_url() -> Iterator[str]:
    """A superuser's URL: TEST_DATABASE_URL's server, or the run's own embedded one."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given is not None:
        yield given
        return
    server = embedded.attach(Path(os.environ["TEST_FOLDER"]), durable=False)
    yield server.url
    server.close()


@pytest.fixture(scope="session")
def new_database(admin_url: str) -> Iterator[Callable[[], str]]:
    """Call it for the URL of a new, empty database."""
    made: list[str] = []

    def make() -> str:
        name = f"test_{uuid.uuid4().hex}"
        _run_sql(admin_url, f'CREATE DATABASE "{name}"')
        if "TEST_POOLER_URL" in os.environ:
            # Sessions behind a pooler are as the server makes them, and in no useful time zone.
            _run_sql(admin_url, f'ALTER DATABASE "{name}" SET timezone = "Asia/Kathmandu"')
        made.append(name)
        return make_url(admin_url).set(database=name).render_as_string(hide_password=False)

    yield make
    for name in made:
        _run_sql(admin_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _run_sql(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


@pytest.fixture(scope="session")
def database_url(new_database: Callable[[], str]) -> str:
    """The URL of this worker's database, made by the migrations."""
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Any]:
    """A connection that goes past the server; each statement stands alone."""
    with closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture(scope="session")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server as its users run it: the command, in a process of its own, on a real port."""
    with start_server(database_url, tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def new_client(server: Server) -> Iterator[Callable[..., httpx.Client]]:
    """Call it for the HTTP client of a new user, or of the named one."""
    clients: list[httpx.Client] = []

    def make(user_id: str | None = None) -> httpx.Client:
        clients.append(server.client(user_id or f"user-{uuid.uuid4()}"))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def alice(new_client: Callable[..., httpx.Client]) -> httpx.Client:
    """A user with nothing yet."""
    return new_client(f"alice-{uuid.uuid4()}")


@pytest.fixture
def bob(new_client: Callable[..., httpx.Client]) -> httpx.Client:
    """Another user."""
    return new_client(f"bob-{uuid.uuid4()}")


@pytest.fixture
def anonymous(server: Server) -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(base_url=server.url, timeout=30, verify=False) as client:
        yield client


@pytest.fixture
def conversation(alice: httpx.Client) -> dict[str, Any]:
    """An empty conversation of alice's."""
    response = alice.post("/conversations", json={})
    assert response.status_code == 201, response.text
    result: dict[str, Any] = response.json()
    return result
