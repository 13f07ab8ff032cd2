"""Every change in the tables requires its version, no lower and no higher."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract_changes.base import BASE
from tests.contract_changes.cases_of_contracts import CONTRACTS
from tests.contract_changes.cases_of_schemas import SCHEMAS
from tests.contract_changes.checker import wrong_versions
from tests.contract_changes.edits import Edit, at


def test_each_change_of_a_contract_requires_its_version() -> None:
    assert wrong_versions(BASE, CONTRACTS) == []


@pytest.mark.parametrize(("schema", "column"), [("Draft", 2), ("Thing", 3)])
def test_each_change_of_a_request_or_response_schema_requires_its_version(
    schema: str, column: int
) -> None:
    """Requests contain Draft, responses Thing."""

    def within(edit: Edit) -> Callable[[Any], None]:
        return lambda contract: edit(at(contract, f"components schemas {schema} properties"))

    cases = [(str(case[0]), within(case[1]), str(case[column])) for case in SCHEMAS]
    assert wrong_versions(BASE, cases) == []
