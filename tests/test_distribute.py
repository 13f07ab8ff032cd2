"""`agent-api distribute` says what is missing, and changes nothing then."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import agent_api

pytestmark = pytest.mark.process


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_distribute_needs_citus(plain_url: str, options: list[str]) -> None:
    result = agent_api("distribute", *options, database_url=plain_url)

    assert result.returncode == 1
    assert "no extension citus: run CREATE EXTENSION citus" in result.stderr
    assert agent_api("migrate", "--check", database_url=plain_url).returncode == 0


def test_distribute_refuses_the_embedded_database(tmp_path: Path) -> None:
    result = agent_api("distribute", data_dir=str(tmp_path))

    assert result.returncode == 2
    assert "set AGENT_API_DATABASE_URL" in result.stderr


@pytest.fixture
def plain_url(new_migrated_database: Callable[[], str]) -> str:
    return new_migrated_database()
