"""What the tests share: a real PostgreSQL, a real server on a port, and clients with tokens.

Tests do not delete their rows. Each test acts as users of its own, and users see only their rows.
"""

import gc
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import psycopg2
import pytest
from sqlalchemy import make_url

import migrations
from db import embedded, schema
from db.environment import ignore_postgresql_variables
from tests import distributed, log_watch
from tests.contract import Rows, make_rows
from tests.servers import Server, start_server
from tests.workers import NewWorker, Worker

# Only `make test-browser` installs Playwright.
collect_ignore = [] if find_spec("playwright") else ["browser"]

# A deadline would fail an example because the machine is busy.
hypothesis.settings.register_profile("dev", max_examples=20, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=200, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_configure(config: pytest.Config) -> None:
    """Create the run's folder, which the workers of pytest-xdist find in their environment.

    It holds the embedded database and, in `tmp`, the temporary files of all processes.
    """
    ignore_postgresql_variables()
    if "TEST_FOLDER" in os.environ:
        return
    # pytest keeps its folders of the last three runs, which are useful after a failure.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    # The account that runs PostgreSQL for root cannot enter pytest's own temporary folder.
    folder = Path(tempfile.mkdtemp(prefix="agent-api-test-"))
    folder.chmod(0o711)
    temporary = folder / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    os.environ["TEST_FOLDER"] = str(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    config.add_cleanup(lambda: _remove(folder))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from visiting the collected tests again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test left something in the temporary folder."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    folder = Path(os.environ["TEST_FOLDER"], "tmp")
    left = sorted(path.name for path in folder.glob("agent-api-*"))
    if left and session.exitstatus == pytest.ExitCode.OK:
        print(f"\nThe tests left files in the temporary folder: {', '.join(left)}")  # noqa: T201  # pytest shows no log after the tests
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _remove(folder: Path) -> None:
    """Remove a folder after the database server in it has stopped."""
    deadline = time.monotonic() + 90
    while not embedded.is_stopped(folder):
        assert time.monotonic() < deadline, f"the database server in {folder} is still running"
        time.sleep(0.05)
    shutil.rmtree(folder)


@pytest.fixture(scope="session", autouse=True)
def quiet_log() -> Iterator[None]:
    """Fail the run if code in this process logged a token or content."""
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


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder for an embedded database, which the account that runs PostgreSQL can enter."""
    folder = Path(tempfile.mkdtemp(prefix="agent-api-data-"))
    folder.chmod(0o711)
    yield folder
    _remove(folder)


@pytest.fixture(scope="session")
def new_database(admin_url: str) -> Iterator[Callable[..., str]]:
    """Return a function that returns the URL of a new, empty database.

    Its argument is the end of CREATE DATABASE: `ENCODING 'UTF8'`.
    """
    made: list[str] = []

    def make(options: str = "") -> str:
        name = f"test_{uuid.uuid4().hex}"
        _run_sql(admin_url, f'CREATE DATABASE "{name}" {options}')
        if "TEST_POOLER_URL" in os.environ:
            # A pooler ignores the options of a connection, so test with an unusual time zone.
            _run_sql(admin_url, f'ALTER DATABASE "{name}" SET timezone = "Asia/Kathmandu"')
        if distributed.ENABLED:
            distributed.prepare(admin_url, name)
        made.append(name)
        return make_url(admin_url).set(database=name).render_as_string(hide_password=False)

    yield make
    if "TEST_DATABASE_URL" not in os.environ:
        return  # the whole server goes; dropping a database would wait for a checkpoint
    for name in made:
        _run_sql(admin_url, f'DROP DATABASE "{name}" WITH (FORCE)')
        if distributed.ENABLED:
            distributed.drop(admin_url, name)


def _run_sql(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


@pytest.fixture(scope="session")
def database_url(new_database: Callable[[], str]) -> str:
    """The URL of this worker's database, with the schema."""
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
    distributed.distribute(url)
    return url


@pytest.fixture(scope="session")
def new_migrated_database(new_database: Callable[..., str]) -> Callable[[], str]:
    """Return a function that returns the URL of a new database with the schema, but no rows.

    Copying a database takes a sixth of the CPU time that its migrations take.
    """

    @cache
    def template() -> str:
        url = new_database()
        schema.upgrade(url, migrations.FOLDER)
        return str(make_url(url).database)

    def make() -> str:
        if not distributed.ENABLED:
            return new_database(f'TEMPLATE "{template()}"')
        url = new_database()  # Citus cannot copy a database
        schema.upgrade(url, migrations.FOLDER)
        return url

    return make


@pytest.fixture
def database(database_url: str) -> Iterator[Any]:
    """A direct connection to the database, in autocommit mode."""
    with closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture(scope="session")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server as users run it: the command, in its own process, on a real port."""
    with start_server(database_url, tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def new_client(server: Server) -> Iterator[Callable[..., httpx.Client]]:
    """Return a function that returns an HTTP client of a new user, or of the named one."""
    clients: list[httpx.Client] = []

    def make(user_id: str | None = None) -> httpx.Client:
        clients.append(server.client(user_id or f"user-{uuid.uuid4()}"))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def new_worker(server: Server) -> Iterator[NewWorker]:
    """Return a function that returns a new worker, with the scope to claim runs."""
    workers: list[Worker] = []

    def make() -> Worker:
        workers.append(Worker(server))
        return workers[-1]

    yield make
    for worker in workers:
        worker.client.close()


@pytest.fixture
def worker(new_worker: NewWorker) -> Worker:
    """A worker who has claimed nothing yet."""
    return new_worker()


@pytest.fixture
def alice(new_client: Callable[..., httpx.Client]) -> httpx.Client:
    """A client of a user who has no rows yet."""
    return new_client(f"alice-{uuid.uuid4()}")


@pytest.fixture
def bob(new_client: Callable[..., httpx.Client]) -> httpx.Client:
    """A client of another user."""
    return new_client(f"bob-{uuid.uuid4()}")


@pytest.fixture
def anonymous(server: Server) -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(base_url=server.url, timeout=30, verify=False) as client:
        yield client


@pytest.fixture
def conversation(alice: httpx.Client) -> dict[str, Any]:
    """An empty conversation of Alice."""
    response = alice.post("/conversations", json={})
    assert response.status_code == 201, response.text
    result: dict[str, Any] = response.json()
    return result


@pytest.fixture
def rows(alice: httpx.Client) -> Rows:
    """One row of each kind, owned by Alice."""
    return make_rows(alice)


@pytest.fixture(scope="module")
def owner(server: Server) -> Iterator[httpx.Client]:
    """A client of one user for all tests of a module, the owner of `kept_rows`."""
    with server.client(f"owner-{uuid.uuid4()}") as client:
        yield client


@pytest.fixture(scope="module")
def kept_rows(owner: httpx.Client) -> Rows:
    """One row of each kind, for requests that change nothing."""
    return make_rows(owner)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the server logged last with a test that fails: a 500 alone says nothing."""
    report = yield
    running = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(running, Server) and running.log.exists():
        problems = [
            line
            for line in running.log.read_text().splitlines()
            if '"ERROR"' in line or '"WARNING"' in line
        ]
        if problems:
            report.sections.append(("Last errors of the server", "\n".join(problems[-3:])))
    return report
