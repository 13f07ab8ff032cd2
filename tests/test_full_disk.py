"""A full disk must not end the server."""

from pathlib import Path

import pytest

from tests import contract
from tests.contract import NOWHERE, OPERATIONS
from tests.servers import free_port, start_server

pytestmark = pytest.mark.process


def allocated(folder: Path) -> dict[str, int]:
    """Return the sizes of the files with counts, and check that the disk has all their blocks.

    A process gets SIGBUS if it writes to a mapped file where a full disk has no block for it.
    """
    found = {path.name: path.stat() for path in folder.glob("agent-api-metrics-*/*.db")}
    assert all(each.st_blocks * 512 >= each.st_size for each in found.values())
    return {name: each.st_size for name, each in found.items()}


def test_counting_requests_needs_no_further_space(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    problems: list[dict[str, str]] = [{}, {"Authorization": ""}, {"Content-Type": "text/plain"}]

    with (
        start_server(database_url, tmp_path, metrics_port=str(free_port())) as server,
        server.client("alice") as alice,
    ):
        before = allocated(temporary)
        for operation in OPERATIONS:
            path = operation.path.format(**dict.fromkeys(operation.names, NOWHERE))
            for headers in problems:
                contract.request(alice, operation.method, path, headers=headers)

        assert len(before) == 4
        assert allocated(temporary) == before
