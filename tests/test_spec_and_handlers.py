"""The contract, the handlers, the command line and the docs name the same things."""

import ast
import dataclasses
import re
import subprocess
from pathlib import Path

from openapi_spec_validator import OpenAPIV30SpecValidator

from agent_api.settings import Settings
from tests.contract import CONTRACT
from tests.servers import clean_environment, command

ROOT = Path(__file__).parents[1]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
OPERATIONS = {
    operation["operationId"]: (method.upper(), path)
    for path, item in CONTRACT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
}
# Read, not imported: they belong to the server's process.
HANDLERS = {
    node.name: f"handlers.{module.stem}.{node.name}"
    for module in (ROOT / "handlers").glob("*.py")
    for node in ast.parse(module.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
}


def test_contract_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV30SpecValidator(CONTRACT).iter_errors()] == []


def test_every_operation_has_its_handler_and_every_handler_its_operation() -> None:
    assert sorted(HANDLERS) == sorted(OPERATIONS)


def test_operation_ids_are_not_used_twice() -> None:
    assert len(OPERATIONS) == sum(
        method in METHODS for item in CONTRACT["paths"].values() for method in item
    )


def test_routes_prints_the_operations_of_the_contract() -> None:
    result = subprocess.run(
        command("routes"), env=clean_environment(), capture_output=True, text=True, check=True
    )

    assert sorted(line.split() for line in result.stdout.splitlines()) == sorted(
        [method, path, name, HANDLERS[name]] for name, (method, path) in OPERATIONS.items()
    )


def test_configuration_page_lists_every_setting() -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| `(AGENT_API_\w+)`", page, re.MULTILINE)

    settings = [f"AGENT_API_{field.name.upper()}" for field in dataclasses.fields(Settings)]
    assert sorted(rows) == sorted(settings)
