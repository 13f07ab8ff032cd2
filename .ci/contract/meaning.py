"""Reads what a schema allows: follows references, merges allOf, fills in keyword defaults."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from typing import Any

from changes import literal
from document import SCHEMAS, Document, Node

ANY = "any value"
"""The type of a schema without `type`."""
WORDS = ("title", "description", "example", "examples", "externalDocs")
LOWER = ("minLength", "minItems", "minProperties", "minimum")
UPPER = ("maxLength", "maxItems", "maxProperties", "maximum")
EXCLUSIVE = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}
KNOWN = {
    *("$ref", "additionalProperties", "allOf", "anyOf", "default", "deprecated", "enum", "format"),
    *("items", "multipleOf", "not", "nullable", "oneOf", "pattern", "properties", "required"),
    *("type", "uniqueItems"),
    *(*WORDS, *LOWER, *UPPER, *EXCLUSIVE.values()),
}

Schemas = tuple[Node, ...]
"""Schemas that must all match, like the members of an allOf."""

Words = dict[tuple[str, str], str]
"""Titles, descriptions and examples by component and keyword."""

Tightness = tuple[float, bool]
"""A bound (value, exclusive), negated for upper bounds, so that greater means tighter."""


@dataclass
class Meaning:
    """One merged schema. The schemas inside it are as in the document."""

    type: str
    null: bool
    format: list[str]
    enum: dict[str, Any] | None  # the values except null, by their JSON
    bounds: dict[str, Tightness]
    patterns: set[str]
    multiples: set[Fraction]
    unique: bool
    required: dict[str, str]  # with the component that requires it
    additional: Schemas | bool
    keeps_others: bool  # it names additionalProperties, which is more than not refusing them
    items: Schemas
    any_of: list[list[Node]]
    one_of: list[list[Node]]
    nots: list[Node]
    default: list[str]
    deprecated: bool
    unknown: Node
    words: Words
    sources: set[str]
    """The components it is merged from; the empty name is the schema itself."""
    properties: dict[str, Schemas] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """The source of each property."""


def read(document: Document, schemas: Schemas) -> Meaning:
    key = tuple(map(id, schemas))
    if key not in document.meanings:
        document.meanings[key] = merged(document, schemas)
    meaning: Meaning = document.meanings[key]
    return meaning


def merged(document: Document, schemas: Schemas) -> Meaning:
    parts = [part for schema in schemas for part in flattened(document, schema, "")]

    def given(key: str) -> list[Any]:
        return [schema[key] for schema, _ in parts if key in schema]

    unknown = {key for schema, _ in parts for key in schema} - KNOWN
    meaning = Meaning(
        type=merged_type(given("type")),
        null=all(admits_null(document, schema) for schema in schemas),
        format=sorted(set(given("format"))),
        enum=merged_enum(given("enum")),
        bounds=bounds([schema for schema, _ in parts]),
        patterns=set(given("pattern")),
        multiples={Fraction(str(value)) for value in given("multipleOf")},
        unique=any(given("uniqueItems")),
        required={
            name: owner for schema, owner in reversed(parts) for name in schema.get("required", [])
        },
        additional=merged_additional(given("additionalProperties")),
        keeps_others=bool(given("additionalProperties")),
        items=tuple(given("items")),
        any_of=[members for schema, _ in parts if len(members := shapes(alternatives(schema))) > 1],
        one_of=given("oneOf"),
        nots=[schema["not"] for schema, _ in parts if is_plain_not(schema)],
        default=[literal(value) for value in given("default")[:1]],
        deprecated=any(given("deprecated")),
        unknown={key: document.expanded(given(key)) for key in unknown},
        words={
            (owner, key): word
            for schema, owner in reversed(parts)
            for key, word in own_words(schema).items()
        },
        sources={owner for _, owner in parts},
    )
    for schema, owner in parts:
        for name, member in schema.get("properties", {}).items():
            meaning.properties[name] = (*meaning.properties.get(name, ()), member)
            same = meaning.owners.get(name, owner) == owner
            meaning.owners[name] = owner if same else ""
    return meaning


def own_words(schema: Node) -> dict[str, str]:
    return {key: literal(schema[key]) for key in WORDS if key in schema}


def flattened(document: Document, schema: Node, owner: str) -> Iterator[tuple[Node, str]]:
    """Yield the schemas that must all match, each with the component it is in.

    OpenAPI 3.0 ignores the siblings of a $ref, but not every tool does; they count here.
    """
    yield schema, owner
    if "$ref" in schema:
        target = document.follow(schema["$ref"])
        yield from flattened(document, target, component(schema["$ref"]) or owner)
    choices = shapes(alternatives(schema))
    for member in [*schema.get("allOf", []), *(choices if len(choices) == 1 else [])]:
        yield from flattened(document, member, owner)


def alternatives(schema: Node) -> list[Node]:
    """Return the members of an anyOf, also if it is written as `not: {allOf: [{not: member}]}`."""
    match schema:
        case {"anyOf": [*members]}:
            return members
        case {"not": {"allOf": [*members], **rest}} if not rest:
            if all(member.keys() == {"not"} for member in members):
                return [member["not"] for member in members]
    return []


def is_plain_not(schema: Node) -> bool:
    """Tell whether `schema` has a `not` that is not another way to write anyOf."""
    return "not" in schema and ("anyOf" in schema or not alternatives(schema))


def shapes(choices: list[Node]) -> list[Node]:
    """Return the members of an anyOf except null; `X or null` means a nullable X."""
    plain = {*WORDS, "enum", "nullable", "type"}
    return [c for c in choices if c.get("enum") != [None] or c.keys() - plain] or choices


def component(reference: str) -> str:
    """Return the name of the component schema that a `$ref` refers to, or an empty string."""
    return reference.removeprefix(SCHEMAS) if reference.startswith(SCHEMAS) else ""


def named(schemas: Schemas) -> str:
    """Return the component that `schemas` refers to and only rewords, or an empty string."""
    if len(schemas) != 1:
        return ""
    rest = {key: value for key, value in schemas[0].items() if key not in WORDS}
    match rest:
        case {"$ref": str(reference)} if len(rest) == 1:
            return component(reference)
        case {"allOf": [{"$ref": str(reference)} as member]} if len(rest) == len(member) == 1:
            return component(reference)
    return ""


def admits_null(document: Document, schema: Node) -> bool:
    """Tell whether null is allowed. `nullable` beside $ref or allOf counts, as in generators."""
    if None not in schema.get("enum", [None]):
        return False
    choices = alternatives(schema)
    if choices and not any(admits_null(document, choice) for choice in choices):
        return False
    if "type" in schema or schema.get("nullable", False):
        return bool(schema.get("nullable", False))
    together = [document.follow(schema["$ref"])] if "$ref" in schema else []
    return all(admits_null(document, each) for each in [*together, *schema.get("allOf", [])])


def merged_type(types: list[str]) -> str:
    found = set(types)
    if found == {"integer", "number"}:
        return "integer"
    return " and ".join(sorted(found)) or ANY


def merged_enum(enums: list[list[Any]]) -> dict[str, Any] | None:
    if not enums:
        return None
    each = [{literal(value): value for value in enum if value is not None} for enum in enums]
    return reduce(lambda one, other: {k: v for k, v in one.items() if k in other}, each)


def merged_additional(given: list[Any]) -> Schemas | bool:
    if False in given:
        return False
    return tuple(schema for schema in given if schema not in (True, {})) or True


def bounds(schemas: list[Node]) -> dict[str, Tightness]:
    """Return the tightest of each bound. A minimum length or count of zero is not a bound."""
    found: dict[str, Tightness] = {}
    for schema in schemas:
        for key in (*LOWER, *UPPER):
            value = schema.get(key)
            if value is None or (value == 0 and key in LOWER and key != "minimum"):
                continue
            exclusive = bool(schema.get(EXCLUSIVE.get(key, ""), False))
            bound = (-value if key in UPPER else value, exclusive)
            found[key] = max(bound, found.get(key, bound))
    return found
