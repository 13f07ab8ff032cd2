"""Starting and stopping `agent-api mock`, also with another contract."""

import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.servers import clean_environment, command, free_port, start_mock

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.process


def test_mock_needs_no_data_folder_and_no_secret(tmp_path: Path) -> None:
    data = tmp_path / "data"

    host = ("--host", "0.0.0.0")
    with start_mock(tmp_path, *host, data_dir=str(data), log_format="text") as server:
        said = server.log.read_text()

    assert not data.exists()
    assert "the examples of the contract" in said
    assert server.process.returncode == 0


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with a copy of the code, whose contract a test can change."""
    shutil.copytree(ROOT / "agent_api", tmp_path / "agent_api")
    shutil.copytree(ROOT / "openapi", tmp_path / "openapi")
    return tmp_path


def test_operation_without_a_handler_is_served(elsewhere: Path) -> None:
    contract = elsewhere / "openapi" / "agent-api.yaml"
    contract.write_text(contract.read_text().replace("get_readiness", "get_fitness"))

    with start_mock(elsewhere, folder=elsewhere) as server:
        assert httpx.get(f"{server.url}/readyz", verify=False).json() == {"status": "ready"}


def test_example_that_breaks_its_schema_is_reported_in_one_line(elsewhere: Path) -> None:
    contract = elsewhere / "openapi" / "agent-api.yaml"
    contract.write_text(contract.read_text().replace("status: ready", "status: nearly"))

    run = subprocess.run(
        command("mock"),
        cwd=elsewhere,
        env=clean_environment(port=str(free_port()), log_format="text"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("agent-api: An example violates its schema: get_readiness: ")
    assert run.stderr.count("\n") == 1


def test_mock_stops_on_sigterm(tmp_path: Path) -> None:
    with start_mock(tmp_path) as server:
        assert httpx.get(f"{server.url}/healthz", verify=False).status_code == 200
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(60) == 0
