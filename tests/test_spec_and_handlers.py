"""The contract, the handlers, `agent-api routes` and the configuration page agree."""

import ast
import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from agent_api.settings import Settings
from tests.contract import OPERATIONS
from tests.servers import clean_environment, command

ROOT = Path(__file__).parents[1]
# The names come from the source because only the server's process imports the handlers.
HANDLERS = {
    node.name: f"handlers.{module.stem}.{node.name}"
    for module in (ROOT / "handlers").glob("*.py")
    for node in ast.parse(module.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
}


def test_every_operation_has_one_handler_and_every_handler_one_operation() -> None:
    assert sorted(HANDLERS) == sorted(operation.operation_id for operation in OPERATIONS)


@pytest.mark.process
def test_routes_prints_the_operations_of_the_contract() -> None:
    result = subprocess.run(
        command("routes"), env=clean_environment(), capture_output=True, text=True, check=True
    )

    assert sorted(line.split() for line in result.stdout.splitlines()) == sorted(
        [o.method, o.path, o.operation_id, HANDLERS[o.operation_id]] for o in OPERATIONS
    )


def test_configuration_page_lists_every_setting() -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| `(AGENT_API_\w+)`", page, re.MULTILINE)

    settings = [f"AGENT_API_{field.name.upper()}" for field in dataclasses.fields(Settings)]
    assert sorted(rows) == sorted(settings)
