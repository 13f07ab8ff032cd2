"""The quick check accepts nothing that the schema refuses, and every example of the contract.

These tests run in process, because the two checks give the same HTTP responses.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from connexion.spec import Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_api.contract.quick_check import TIMESTAMP_PATTERN
from agent_api.contract.routing import compile_operations
from agent_api.contract.schema import Schema
from agent_api.contract.spec import load_contract
from agent_api.mock.examples import ExampleResolver

MOMENT = {"type": "string", "format": "date-time", "pattern": TIMESTAMP_PATTERN}
UUID = {"type": "string", "format": "uuid"}
ITEM = {"type": "object", "required": ["id"], "properties": {"id": UUID, "at": MOMENT}}
SCHEMAS: list[dict[str, Any]] = [
    {},
    UUID,
    MOMENT,
    {**MOMENT, "minLength": 27, "maxLength": 27, "nullable": True},
    {**UUID, "maxLength": 10},
    {**UUID, "nullable": True},
    {"type": "string", "format": "date-time"},
    {"type": "string", "pattern": "^[a-z]+$"},
    {"type": "string", "minLength": 1, "maxLength": 2},
    {"type": "string", "enum": ["a", "b"], "nullable": True},
    {"type": "string", "enum": ["a", None]},
    {"enum": ["a", 1]},
    {"type": "integer", "minimum": 0, "maximum": 9007199254740991},
    {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
    {"type": "number", "minimum": 0, "maximum": 2, "format": "double"},
    {"type": "number", "nullable": True},
    {"type": "number", "maximum": 2**53},
    {"type": "integer", "maximum": 2**64 - 1},
    {"type": "integer", "minimum": 0.5},
    {"type": "object", "properties": {'a "name"': UUID, "": UUID}},
    {"type": "boolean"},
    {"type": "array", "items": ITEM, "maxItems": 2},
    {"type": "array", "items": {**ITEM, "nullable": True}, "minItems": 1},
    {"type": "array", "items": UUID, "uniqueItems": True},
    {"type": "array", "items": {"type": "array", "items": MOMENT}},
    {"type": "object", "additionalProperties": True},
    {"type": "object", "additionalProperties": False, "properties": {"id": UUID}},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "minProperties": 1},
    {"type": "object", "required": ["id", "unnamed"], "properties": {"id": UUID}},
    {"type": "object", "properties": {"id": {**UUID, "nullable": True}, "at": MOMENT}},
    {"type": "object", "properties": {"text": {"type": "string", "pattern": "^.$"}}},
    {"type": "object", "required": ["any"], "properties": {"any": {"anyOf": [UUID, ITEM]}}},
    {"allOf": [ITEM, {"type": "object", "properties": {"more": MOMENT}}]},
    {"allOf": [ITEM, {"type": "object", "properties": {"id": {"type": "integer"}}}]},
    {"allOf": [ITEM], "type": "string"},
    {"allOf": [UUID], "nullable": True},
    {"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]},
    {"not": {"type": "string"}},
]
A_UUID = "019cadd3-0000-7000-8000-00000000abcd"
A_MOMENT = "2026-03-01T09:30:00.000000Z"


def replaced(text: str, *pairs: tuple[str, str]) -> list[str]:
    """Return a copy of `text` for each pair, with its first string replaced by the second."""
    return [text.replace(old, new) for old, new in pairs]


SCALARS: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 1.0, 0.5, 2.5, -0.0, 1e300),
    *(2**53, 2**53 + 1, 2**63, 2**64, 10**40),
    *("", "a", "b", "ab", "abc", "ä", "🚀", "🚀🚀🚀", "a\n", "null", "1", "x" * 27, "0" * 36),
    *(A_UUID, A_UUID.upper(), A_UUID[:-1], A_UUID + "0", A_UUID[:-1] + "g"),
    *("{" + A_UUID + "}", f"urn:uuid:{A_UUID}"),
    *replaced(A_UUID, ("-", ""), ("0", "\N{ARABIC-INDIC DIGIT ZERO}")),
    *(A_MOMENT, A_MOMENT.lower(), A_MOMENT[:-1], A_MOMENT[:-1] + "+00:00"),
    *replaced(A_MOMENT, ("T", " "), ("2", "\N{ARABIC-INDIC DIGIT TWO}"), ("2026", "0000")),
    *replaced(A_MOMENT, *((".000000", part) for part in ("", ".0", ".000", ".000000000"))),
    *replaced(A_MOMENT, *(("03-01", day) for day in ("02-29", "02-30", "04-31", "00-01", "13-01"))),
    *replaced(A_MOMENT, *(("09:30", time) for time in ("24:00", "23:60", "29:00", "99:99"))),
    *replaced(A_MOMENT, (":00.", ":60.")),
    "2024-02-29T00:00:00.000000Z",
]
NAMES = st.sampled_from(["id", "at", "any", "text", "more", "unnamed", "unknown", ""])
VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


MANY = settings(max_examples=10 * settings().max_examples)
"""Ten times the examples of the profile, because a check takes microseconds."""
COMPILED = [Schema(schema) for schema in SCHEMAS]


def assert_not_too_permissive(schema: Schema, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False).encode()
    if schema._quick.accepts(text):
        assert schema.is_valid(json.loads(text)), text


@MANY
@given(schema=st.sampled_from(COMPILED), value=VALUES)
def test_quick_check_accepts_only_what_the_schema_accepts(schema: Schema, value: Any) -> None:
    assert_not_too_permissive(schema, value)


@cache  # not when the module is imported: every test process collects it
def examples() -> dict[str, tuple[Schema, Any]]:
    """Return schema and value of each example of a response by its name."""
    return {name: (Schema(schema), value) for name, schema, value in sorted(_examples(), key=str)}


def _examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    for operation in compile_operations(Specification.load(load_contract()), ExampleResolver()):
        for status, response in operation.source.responses.items():
            content = response.get("content", {}).get("application/json", {})
            for name, example in content.get("examples", {}).items():
                where = f"{operation.operation_id} {status} {name}"
                yield where, content["schema"], example["value"]


def test_quick_check_accepts_every_example_of_the_contract() -> None:
    refused = [
        name
        for name, (schema, value) in examples().items()
        if not schema._quick.accepts(json.dumps(value).encode())
    ]
    assert len(examples()) > 20
    assert refused == []


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """Return a copy of `value` with one change: something replaced, removed or added."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: draw(damaged(value[name]))}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], draw(damaged(value[index])), *value[index + 1 :]]
    if isinstance(value, dict) and value and draw(st.booleans()):
        gone = draw(st.sampled_from(sorted(value)))
        return {name: item for name, item in value.items() if name != gone}
    if isinstance(value, list) and draw(st.booleans()):
        return [*value, *value, draw(VALUES)]
    return draw(VALUES)


@MANY
@given(data=st.data())
def test_quick_check_refuses_damaged_examples_that_the_schema_refuses(data: st.DataObject) -> None:
    schema, value = data.draw(st.sampled_from(list(examples().values())))

    assert_not_too_permissive(schema, data.draw(damaged(value)))
