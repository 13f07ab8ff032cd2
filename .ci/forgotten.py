"""Reports what a change easily forgets: the index of a new filter, and the changelog.

    python .ci/forgotten.py

The descriptions and examples of the contract are checked by tests/test_contract_style*.py, and that
models and migrations agree by tests/db/test_migrations.py.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Index

from db.models import Base

ROOT = Path(__file__).resolve().parents[1]
PAGING = {"limit", "offset", "order", "order_by", "cursor"}


def load(name: str) -> dict[str, Any]:
    """Return a contract as it is in openapi/."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "openapi" / name).read_text("utf-8"))
    return loaded


def missing_indexes(contract: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each filter of a list whose column is in no index."""
    parameters = contract["components"]["parameters"]
    for item in contract["paths"].values():
        operation = item.get("get", {})
        kind, _, resource = operation.get("operationId", "").partition("_")
        if kind != "list" or resource not in Base.metadata.tables:
            continue
        table = Base.metadata.tables[resource]
        for given in operation.get("parameters", ()):
            parameter = parameters[given["$ref"].rpartition("/")[2]] if "$ref" in given else given
            name = parameter["name"]
            if parameter["in"] != "query" or name in PAGING or name not in table.columns:
                continue
            if not any(serves(index, name) for index in table.indexes):
                yield (
                    f"{operation['operationId']} filters by {name}, which is in no index:"
                    f' add Index("idx_{resource}_{name}", ...) to db/models/ and a migration'
                )


def serves(index: Index, column: str) -> bool:
    """Tell whether the column is one of the index's, or in the condition of a partial index."""
    condition = str(index.dialect_options["postgresql"]["where"])
    return column in index.columns or re.search(rf"\b{column}\b", condition) is not None


def missing_changelog(contract: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence if the contract's version is not the title of a changelog section."""
    version = contract["info"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## {re.escape(version)}\b", changelog, re.MULTILINE):
        yield f"CHANGELOG.md has no section {version}: add one that says what changed"


def main() -> int:
    contract = load("agent-api.yaml")
    forgotten = [*missing_indexes(contract), *missing_changelog(contract)]
    print("\n".join(forgotten) or "Every filter has an index, and the changelog has the version.")
    return 1 if forgotten else 0


if __name__ == "__main__":
    sys.exit(main())
