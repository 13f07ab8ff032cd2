"""What the check says of our own contract, and of changes anywhere in it."""

from pathlib import Path
from typing import Any

import pytest

from tests.contract_changes.edits import Edit, add, drop, put
from tests.contract_changes.kinds import ADDED, BREAKING, WORDING, asks_for, compare
from tests.contract_changes.ours import (
    ANSWERED,
    CONTRACT,
    CURRENT,
    DROPPED,
    OPERATIONS,
    RELEASED,
    Breaks,
    below,
    nodes,
)
from tests.contract_changes.running import Program, run

PLURAL = "paths /conversations"

OURS: list[tuple[str, Edit, str]] = [
    ("an operation removed", drop(f"{PLURAL} post"), BREAKING),
    ("an operation renamed", put(f"{PLURAL} get operationId", "get_conversations"), BREAKING),
    ("a property removed", drop("components schemas Conversation properties title"), BREAKING),
    (
        "title tightened",
        put("components schemas ConversationCreate properties title maxLength", 200),
        BREAKING,
    ),
    (
        "title loosened",
        put("components schemas ConversationCreate properties title maxLength", 300),
        ADDED,
    ),
    ("a run status added", add("components schemas RunStatus enum", "paused"), BREAKING),
    ("a page made smaller", put("components parameters Limit schema maximum", 50), BREAKING),
    (
        "a page made larger by default",
        put("components parameters Limit schema default", 100),
        BREAKING,
    ),
    ("settings for all", put("paths /users/me/chat-settings get security", []), ADDED),
    ("a health check for some", drop("paths /healthz get security"), BREAKING),
    (
        "an answer with more",
        put("components schemas Message properties language", {"type": "string", "maxLength": 9}),
        ADDED,
    ),
    ("a filter added", add(f"{PLURAL} get parameters", {"name": "q", "in": "query"}), ADDED),
    (
        "a header dropped",
        drop("components responses Unauthorized headers WWW-Authenticate"),
        BREAKING,
    ),
    ("the manual reworded", put("info description", "Read the source."), WORDING),
]


@pytest.mark.parametrize(("edit", "kind"), [pytest.param(e, k, id=i) for i, e, k in OURS])
def test_a_change_of_our_contract_asks_for_its_version(
    program: Program, tmp_path: Path, edit: Edit, kind: str
) -> None:
    asks_for(program, tmp_path, CONTRACT, edit, kind)


def test_our_version_says_what_changed_since_the_last_release() -> None:
    done = run(RELEASED, CURRENT)
    assert done.code == 0, done.out + done.err


def test_our_contract_is_equal_to_itself() -> None:
    assert run(CURRENT, CURRENT).out.splitlines()[0] == "Nothing has changed."


def reordered(node: Any, key: str = "") -> Any:
    """Return the contract with all turned round that has no order."""
    if isinstance(node, dict):
        return {k: reordered(v, k) for k, v in reversed(node.items())}
    if isinstance(node, list):
        items = [reordered(item) for item in node]
        loose = key in {"allOf", "anyOf", "enum", "parameters", "required", "tags"}
        return items[::-1] if loose else items
    return node


def test_our_contract_in_another_order_is_the_same(tmp_path: Path) -> None:
    done = compare(run, tmp_path, CONTRACT, reordered(CONTRACT))
    assert done.out.splitlines()[0] == "Nothing has changed."


EACH = pytest.mark.parametrize(
    "step", [pytest.param(10, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]
)
"""Of hundreds of places every tenth, and in `make test-slow` all of them."""


def missed(breaks: Breaks, edits: list[tuple[str, Any]], at_least: int, step: int = 1) -> list[str]:
    """Return what the check lets pass; `at_least` shows that there was something to find."""
    assert len(edits) >= at_least
    return [path for path, value in edits[::step] if not breaks(path, value)]


@EACH
def test_removing_any_operation_breaks_clients(breaks: Breaks, step: int) -> None:
    assert missed(breaks, [(path, DROPPED) for path in OPERATIONS], 16, step) == []


@EACH
def test_removing_any_property_of_a_schema_breaks_clients(breaks: Breaks, step: int) -> None:
    properties = [
        (f"{path} {name}", DROPPED)
        for path, node in below(sorted(CONTRACT["components"]["schemas"]))
        if path.endswith(" properties")
        for name in node
    ]
    assert missed(breaks, properties, 120, step) == []


@EACH
def test_requiring_any_parameter_breaks_clients(breaks: Breaks, step: int) -> None:
    parameters = [
        (f"components parameters {name} required", True)
        for name, parameter in CONTRACT["components"]["parameters"].items()
        if not parameter.get("required")
    ]
    assert missed(breaks, parameters, 16, step) == []


def test_adding_to_any_enum_of_an_answer_breaks_clients(breaks: Breaks) -> None:
    enums = [
        (f"{path} enum", [*node["enum"], "another"])
        for path, node in below(ANSWERED)
        if isinstance(node.get("enum"), list)
    ]
    assert missed(breaks, enums, 4) == []


@EACH
def test_removing_any_header_of_an_answer_breaks_clients(breaks: Breaks, step: int) -> None:
    headers = [
        (f"{path} {name}", DROPPED)
        for path, node in nodes(CONTRACT, "")
        if path.endswith(" headers") and path != " components headers"
        for name in node
    ]
    assert missed(breaks, headers, 30, step) == []
