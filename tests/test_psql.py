"""`agent-api psql` opens the embedded database, and only that one."""

from pathlib import Path

import pytest

from tests.servers import agent_api

pytestmark = pytest.mark.process


def test_psql_runs_a_statement_and_returns_psqls_exit_code(data_dir: Path) -> None:
    asked = agent_api("psql", "-AtXc", "SELECT current_database()", data_dir=str(data_dir))
    wrong = agent_api(
        "psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1/0", data_dir=str(data_dir)
    )

    assert (asked.returncode, asked.stdout) == (0, "agent_api\n")
    assert wrong.returncode == 1
    assert "division by zero" in wrong.stderr


def test_psql_url_names_the_database_of_the_data_folder(data_dir: Path) -> None:
    printed = agent_api("psql", "--url", data_dir=str(data_dir))

    assert printed.returncode == 0
    assert printed.stdout.startswith("postgresql://")


def test_psql_leaves_an_external_database_to_the_operators_own_psql() -> None:
    refused = agent_api("psql", database_url="postgresql://localhost/example")

    assert refused.returncode == 2
    assert refused.stderr == (
        "agent-api: AGENT_API_DATABASE_URL replaces the embedded database: run psql with that URL\n"
    )
