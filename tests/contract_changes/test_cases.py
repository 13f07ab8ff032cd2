"""Every change in the tables asks for its version, no lower and no higher."""

from pathlib import Path

import pytest

from tests.contract_changes.base import BASE
from tests.contract_changes.cases_of_contracts import CONTRACTS
from tests.contract_changes.cases_of_schemas import SCHEMAS
from tests.contract_changes.edits import Edit, at
from tests.contract_changes.kinds import asks_for
from tests.contract_changes.running import Program


@pytest.mark.parametrize(("edit", "kind"), [pytest.param(e, k, id=i) for i, e, k in CONTRACTS])
def test_a_change_of_the_contract_asks_for_its_version(
    program: Program, tmp_path: Path, edit: Edit, kind: str
) -> None:
    asks_for(program, tmp_path, BASE, edit, kind)


@pytest.mark.parametrize(("edit", "kind"), [pytest.param(e, k, id=i) for i, e, k, _ in SCHEMAS])
def test_a_change_of_a_request_schema_asks_for_its_version(
    program: Program, tmp_path: Path, edit: Edit, kind: str
) -> None:
    asks_for(
        program, tmp_path, BASE, lambda c: edit(at(c, "components schemas Draft properties")), kind
    )


@pytest.mark.parametrize(("edit", "kind"), [pytest.param(e, k, id=i) for i, e, _, k in SCHEMAS])
def test_a_change_of_an_answer_schema_asks_for_its_version(
    program: Program, tmp_path: Path, edit: Edit, kind: str
) -> None:
    asks_for(
        program, tmp_path, BASE, lambda c: edit(at(c, "components schemas Thing properties")), kind
    )
