"""`agent-api psql` opens the embedded database, and only that one."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from db import embedded
from tests.servers import clean_environment, command

pytestmark = pytest.mark.process


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder that the account which runs the database can enter."""
    folder = Path(tempfile.mkdtemp(prefix="agent-api-psql-"))
    folder.chmod(0o711)
    yield folder
    deadline = time.monotonic() + 30
    while not embedded.is_stopped(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    shutil.rmtree(folder)


def psql(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("psql", *arguments),
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_psql_runs_a_statement_and_returns_psqls_exit_code(data_dir: Path) -> None:
    asked = psql("-AtXc", "SELECT current_database()", data_dir=str(data_dir))
    wrong = psql("-X", "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1/0", data_dir=str(data_dir))

    assert (asked.returncode, asked.stdout) == (0, "agent_api\n")
    assert wrong.returncode == 1
    assert "division by zero" in wrong.stderr


def test_psql_url_names_the_database_of_the_data_folder(data_dir: Path) -> None:
    printed = psql("--url", data_dir=str(data_dir))

    assert printed.returncode == 0
    assert printed.stdout.startswith("postgresql://")


def test_psql_leaves_an_external_database_to_the_operators_own_psql() -> None:
    refused = psql(database_url="postgresql://localhost/example")

    assert refused.returncode == 2
    assert refused.stderr == (
        "agent-api: AGENT_API_DATABASE_URL replaces the embedded database: run psql with that URL\n"
    )
