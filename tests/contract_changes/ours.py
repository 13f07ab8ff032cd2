"""Our own contract, and what is in it."""

from collections.abc import Callable, Iterator
from typing import Any

import yaml

from tests.contract_changes.edits import at
from tests.contract_changes.kinds import NOTHING
from tests.contract_changes.running import ROOT

RELEASED = ROOT / "openapi" / "released.yaml"
CURRENT = ROOT / "openapi" / "agent-api.yaml"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

CONTRACT: dict[str, Any] = yaml.load(CURRENT.read_bytes(), LOADER)
CONTRACT["info"]["version"] = NOTHING

Breaks = Callable[[str, Any], bool]
DROPPED = object()


def nodes(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every object below a path, but nothing inside examples."""
    if isinstance(node, dict):
        yield path, node
    items = (
        enumerate(node)
        if isinstance(node, list)
        else node.items()
        if isinstance(node, dict)
        else ()
    )
    for key, item in items:
        if key not in {"example", "examples"}:
            yield from nodes(item, f"{path} {key}")


def reached(node: Any, seen: set[str]) -> set[str]:
    """Add the component schemas that a part of the contract leads to."""
    for _, below in nodes(node, ""):
        reference = str(below.get("$ref", ""))
        if reference and reference not in seen:
            seen.add(reference)
            reached(at(CONTRACT, reference.removeprefix("#/").replace("/", " ")), seen)
    return {name.rpartition("/")[2] for name in seen if "/schemas/" in name}


OPERATIONS = [
    f"paths {path} {method}"
    for path, item in CONTRACT["paths"].items()
    for method in item
    if method != "parameters"
]
ANSWERED = sorted(reached([at(CONTRACT, path)["responses"] for path in OPERATIONS], set()))


def below(names: list[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        yield from nodes(CONTRACT["components"]["schemas"][name], f"components schemas {name}")
