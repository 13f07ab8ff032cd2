"""The steps of docs/operations/upgrades.md lose no request behind a load balancer.

Older versions run from their wheels, with the dependencies that are installed now: 1.0.0, and the
state of 1.1.0 before revision 0005, which rewrites the tables.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

import migrations
from db import schema
from tests.servers import Server, clean_environment, command, start_version
from tests.upgrades.balancer import LoadBalancer
from tests.upgrades.traffic import Traffic

pytestmark = [pytest.mark.process, pytest.mark.slow]

PROJECT = Path(__file__).parents[2]

NEXT_MIGRATION = '''
"""Add a column that the previous version does not know."""

from alembic import op

from db.schema.table_locks import lock_tables

revision = "{revision}"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    tables = ("conversations", "messages", "runs", "chat_settings")
    op.execute(lock_tables(*tables))
    for table in tables:
        op.execute(f"ALTER TABLE {{table}} ADD COLUMN newer text DEFAULT 'new' NOT NULL")
'''


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code of 1.0.0."""
    return unpacked("1.0.0", tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code of 1.1.0 before revision 0005."""
    return unpacked("1.1.0", tmp_path_factory.mktemp("previous"))


def unpacked(version: str, folder: Path) -> Path:
    with ZipFile(Path(__file__).with_name(f"agent_api-{version}-py3-none-any.whl")) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this code and one more migration."""
    folder = tmp_path_factory.mktemp("following")
    for package in ("agent_api", "handlers", "db", "migrations", "openapi"):
        shutil.copytree(PROJECT / package, folder / package)
    head = schema.head(migrations.FOLDER)
    revision = f"{int(head) + 1:04}"
    script = folder / "migrations" / "versions" / f"{revision}_next.py"
    script.write_text(NEXT_MIGRATION.format(head=head, revision=revision))
    return folder


def migrate(url: str, folder: Path) -> str:
    """Run `agent-api migrate` of the code in `folder`; return what it printed."""
    ran = subprocess.run(
        command("migrate"),
        cwd=folder,
        env=clean_environment(database_url=url),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


def readiness(server: Server) -> httpx.Response:
    return httpx.get(f"{server.url}/readyz", timeout=10, verify=False)


class Fleet:
    """Two servers of one version behind a load balancer, with clients that use them."""

    def __init__(self, url: str, log_folder: Path, probe_path: str, stack: ExitStack) -> None:
        self.url = url
        self.log_folder = log_folder
        self.stack = stack
        self.servers: list[Server] = []
        self.balancer = stack.enter_context(LoadBalancer(probe_path))

    def start(self, folder: Path, ready_path: str = "/readyz") -> Server:
        """Start a server with the code in `folder` and wait until it is ready."""
        started = start_version(folder, self.url, self.log_folder, ready_path=ready_path)
        return self.stack.enter_context(started)

    def replace(self, folder: Path, ready_path: str = "/readyz") -> None:
        """Replace the servers one by one, as the guide says."""
        for old in list(self.servers):
            self.servers.append(self.start(folder, ready_path))
            self.balancer.use(*self.servers)
            self.servers.remove(old)
            self.balancer.use(*self.servers)
            old.process.terminate()
            assert old.process.wait(60) == 0


@contextmanager
def fleet(url: str, log_folder: Path, folder: Path) -> Iterator[tuple[Fleet, Traffic]]:
    """Start two servers with the code in `folder`, and traffic that goes on to the block's end."""
    with ExitStack() as stack:
        running = Fleet(url, log_folder, "/readyz", stack)
        running.servers += [running.start(folder) for _ in range(2)]
        running.balancer.use(*running.servers)
        traffic = stack.enter_context(Traffic(running.balancer.url))
        traffic.wait_for_more()
        yield running, traffic
        traffic.wait_for_more()
        traffic.stop()
        assert traffic.faults == []


def test_upgrade_from_1_0_succeeds_with_healthz_probes(
    new_database: Callable[[], str], released: Path, tmp_path: Path
) -> None:
    url = new_database()
    migrate(url, released)

    with fleet(url, tmp_path, released) as (running, traffic):
        running.balancer.probe_path = "/healthz"
        migrate(url, PROJECT)
        reasons = [readiness(server) for server in running.servers]
        traffic.wait_for_more()
        running.replace(PROJECT)
        running.balancer.probe_path = "/readyz"

    # A load balancer that probes /readyz would have removed both old servers.
    assert [reason.status_code for reason in reasons] == [503, 503]
    assert "ahead" in reasons[0].json()["detail"]


def test_upgrade_from_1_1_and_return_succeed_with_readyz_probes(
    new_database: Callable[[], str], previous: Path, tmp_path: Path
) -> None:
    url = new_database()
    migrate(url, previous)

    with fleet(url, tmp_path, previous) as (running, traffic):
        migrate(url, PROJECT)
        after = [readiness(server) for server in running.servers]
        traffic.wait_for_more()
        running.replace(PROJECT)
        traffic.wait_for_more()
        running.replace(previous)

    assert [response.status_code for response in after] == [200, 200]


def test_return_to_1_0_succeeds_with_healthz_probes(
    new_database: Callable[[], str], released: Path, tmp_path: Path
) -> None:
    url = new_database()
    migrate(url, PROJECT)

    with fleet(url, tmp_path, PROJECT) as (running, _):
        running.balancer.probe_path = "/healthz"
        running.replace(released, "/healthz")
        reason = readiness(running.servers[0])

    assert reason.status_code == 503


def test_upgrade_to_the_next_version_and_back_succeeds_with_readyz_probes(
    new_database: Callable[[], str], following: Path, tmp_path: Path
) -> None:
    url = new_database()
    migrate(url, PROJECT)

    with fleet(url, tmp_path, PROJECT) as (running, traffic):
        early = running.start(following, "/healthz")
        before = readiness(early)
        printed = migrate(url, following)
        after = [readiness(server) for server in (early, *running.servers)]
        traffic.wait_for_more()
        running.replace(following)
        traffic.wait_for_more()
        running.replace(PROJECT)

    assert before.status_code == 503
    assert printed.endswith(" Add a column that the previous version does not know.\n")
    assert [response.status_code for response in after] == [200, 200, 200]
