"""A client's team can test our contract with Schemathesis, as docs/contract-testing.md says."""

import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.contract import PATH
from tests.servers import Server, sign


@pytest.mark.process
def test_client_that_runs_schemathesis_gets_no_report(server: Server, tmp_path: Path) -> None:
    """docs/contract-testing.md says how."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    token = sign(f"ci-{uuid.uuid4()}")
    shutil.copy(PATH.with_name("schemathesis.toml"), tmp_path)

    finished = subprocess.run(
        (
            *(program, "run", f"{server.url}/openapi.yaml", "--phases", "examples,coverage"),
            *("--header", f"Authorization: Bearer {token}"),
        ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "No issues found" in finished.stdout, finished.stdout + finished.stderr
