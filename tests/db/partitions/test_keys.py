"""Tests that keys include the owner, because distributed tables require it."""

from typing import Any

import sqlalchemy as sa

from db.models import OWNERS, Base


def test_keys_include_the_owner() -> None:
    wrong = []
    for table in Base.metadata.sorted_tables:
        owner = OWNERS[table.name]
        unique: list[Any] = [table.primary_key, *(each for each in table.indexes if each.unique)]
        unique += [each for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
        wrong += [each.name for each in unique if owner.name not in each.columns]
        for key in table.foreign_key_constraints:
            pairs = {element.parent: element.column for element in key.elements}
            if pairs.get(owner) is not OWNERS[key.referred_table.name]:
                wrong.append(key.name)

    assert wrong == []
