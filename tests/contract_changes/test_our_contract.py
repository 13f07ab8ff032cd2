"""What the check says about changes of our own contract."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract import CONTRACT, PATH
from tests.contract_changes.checker import (
    ADDED,
    BREAKING,
    NOTHING,
    ROOT,
    WORDING,
    compare,
    comparison,
    document,
    run,
    wrong_versions,
)
from tests.contract_changes.edits import Edit, add, at, drop, put

RELEASED = ROOT / "openapi" / "released.yaml"
OPERATIONS = [
    f"paths {path} {method}"
    for path, item in CONTRACT["paths"].items()
    for method in item
    if method != "parameters"
]
REMOVED = object()
SOME_OR_ALL = pytest.mark.parametrize(
    "step", [pytest.param(40, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]
)
"""`make test` tries every fortieth of hundreds of places, `make test-all` all of them."""

LIST = "paths /conversations"
SCHEMAS = "components schemas"
CASES: list[tuple[str, Edit, str]] = [
    ("operation removed", drop(f"{LIST} post"), BREAKING),
    ("operation renamed", put(f"{LIST} get operationId", "get_conversations"), BREAKING),
    ("property removed", drop(f"{SCHEMAS} Conversation properties title"), BREAKING),
    ("shorter title", put(f"{SCHEMAS} ConversationCreate properties title maxLength", 9), BREAKING),
    ("longer title", put(f"{SCHEMAS} ConversationCreate properties title maxLength", 300), ADDED),
    ("run status added", add(f"{SCHEMAS} RunStatus enum", "paused"), BREAKING),
    ("smaller pages", put("components parameters Limit schema maximum", 50), BREAKING),
    ("larger default page", put("components parameters Limit schema default", 100), BREAKING),
    ("token no longer required", put("paths /users/me/chat-settings get security", []), ADDED),
    ("token newly required", drop("paths /healthz get security"), BREAKING),
    (
        "response property added",
        put(f"{SCHEMAS} Message properties language", {"type": "string", "maxLength": 9}),
        ADDED,
    ),
    ("filter added", add(f"{LIST} get parameters", {"name": "q", "in": "query"}), ADDED),
    (
        "header removed",
        drop("components responses Unauthorized headers WWW-Authenticate"),
        BREAKING,
    ),
    ("manual reworded", put("info description", "Read the source."), WORDING),
]


def test_each_change_of_our_contract_requires_its_version() -> None:
    base = copy.deepcopy(CONTRACT)
    base["info"]["version"] = NOTHING

    assert wrong_versions(base, CASES) == []


def test_our_version_fits_the_changes_since_the_last_release() -> None:
    done = run(RELEASED, PATH)

    assert done.returncode == 0, done.stdout + done.stderr


def test_our_contract_equals_itself_in_any_order() -> None:
    assert compare(CONTRACT, copy.deepcopy(CONTRACT)) == []
    assert compare(CONTRACT, reordered(CONTRACT)) == []


def reordered(node: Any, key: str = "") -> Any:
    """Return the contract with everything reversed whose order has no meaning."""
    if key == "value":  # of an example, whose tags have an order
        return node
    if isinstance(node, dict):
        return {k: reordered(v, k) for k, v in reversed(node.items())}
    if isinstance(node, list):
        items = [reordered(item) for item in node]
        is_set = key in {"allOf", "anyOf", "enum", "parameters", "required", "tags"}
        return items[::-1] if is_set else items
    return node


def compatible(edits: list[tuple[str, Any]], at_least: int, step: int = 1) -> list[str]:
    """Return the paths where setting a value, or removing it, is not reported as breaking.

    `at_least` shows that there was something to try; of these, every `step`-th is tried.
    """
    assert len(edits) >= at_least
    old, contents = document.Document(CONTRACT, "old"), copy.deepcopy(CONTRACT)
    return [path for path, value in edits[::step] if not breaks(old, contents, path, value)]


def breaks(old: Any, contents: Any, path: str, value: Any) -> bool:
    """Tell whether the edit is breaking; `contents` is changed in place, which is faster."""
    above, _, key = path.rpartition(" ")
    parent = at(contents, above)
    kept = dict(parent)
    if value is REMOVED:
        del parent[key]
    else:
        parent[key] = value
    changes = comparison.changes(old, document.Document(contents, "new"))
    found = any(change.kind == "Breaking" for change in changes)  # ends at the first
    parent.clear()
    parent.update(kept)
    return found


def nodes(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every object below a path with its path, but nothing inside examples."""
    if isinstance(node, dict):
        yield path, node
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, item in pairs:
        if isinstance(item, dict | list) and key not in {"example", "examples"}:
            yield from nodes(item, f"{path} {key}")


def schemas_of(node: Any, seen: set[str]) -> set[str]:
    """Return the paths of the component schemas that a part of the contract refers to."""
    for _, part in nodes(node, ""):
        reference = str(part.get("$ref", "")).removeprefix("#/").replace("/", " ")
        if reference and reference not in seen:
            seen.add(reference)
            schemas_of(at(CONTRACT, reference), seen)
    return {path for path in seen if path.startswith(SCHEMAS)}


@SOME_OR_ALL
def test_removing_any_operation_is_breaking(step: int) -> None:
    assert compatible([(path, REMOVED) for path in OPERATIONS], 16, step) == []


@SOME_OR_ALL
def test_removing_any_property_is_breaking(step: int) -> None:
    properties = [
        (f"{path} {name}", REMOVED)
        for path, node in nodes(at(CONTRACT, SCHEMAS), SCHEMAS)
        if path.endswith(" properties")
        for name in node
    ]
    assert compatible(properties, 120, step) == []


@SOME_OR_ALL
def test_requiring_any_parameter_is_breaking(step: int) -> None:
    parameters = [
        (f"components parameters {name} required", True)
        for name, parameter in CONTRACT["components"]["parameters"].items()
        if not parameter.get("required")
    ]
    assert compatible(parameters, 16, step) == []


def test_adding_to_any_enum_of_a_response_is_breaking() -> None:
    responses = [at(CONTRACT, path)["responses"] for path in OPERATIONS]
    enums = [
        (f"{path} enum", [*node["enum"], "another"])
        for schema in sorted(schemas_of(responses, set()))
        for path, node in nodes(at(CONTRACT, schema), schema)
        if isinstance(node.get("enum"), list)
    ]
    assert compatible(enums, 4) == []


@SOME_OR_ALL
def test_removing_any_header_of_a_response_is_breaking(step: int) -> None:
    headers = [
        (f"{path} {name}", REMOVED)
        for path, node in nodes(CONTRACT, "")
        if path.endswith(" headers") and path != " components headers"
        for name in node
    ]
    assert compatible(headers, 30, step) == []
