"""The style of the schemas in openapi/agent-api.yaml."""

from typing import Any

import pytest

from tests.contract import DOCUMENT, resolved, subschemas
from tests.contract_parts import errors, none

OPTIONAL_OUTPUT = {
    "/components/schemas/ConversationWithMessages/allOf/1": {"messages"},
    "/components/schemas/BulkProblem": {"errors"},
}
"""Properties of responses that are not always present, by the schema that has them."""


def schemas_of(part: str) -> dict[str, Any]:
    """Return the component schemas that `/requestBody/` or `/responses/` lead to, by pointer."""
    seen: dict[str, Any] = {}
    for pointer, media in DOCUMENT.media_types():
        if part in pointer:
            DOCUMENT.reachable(media["schema"], seen)
    return seen


INPUT_SCHEMAS = schemas_of("/requestBody/")
OUTPUT_SCHEMAS = {
    pointer: schema
    for pointer, schema in schemas_of("/responses/").items()
    if pointer not in INPUT_SCHEMAS
}
"""The schemas that only responses have: what a client wrote is returned in the client's shape."""


BOUNDS = {
    "string": ("minLength", "maxLength"),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "array": ("maxItems",),
}


@pytest.mark.parametrize("kind", BOUNDS)
def test_every_schema_has_bounds(kind: str) -> None:
    faults = [
        f"{pointer}: no {bound}"
        for pointer, schema in DOCUMENT.all_schemas()
        if schema.get("type") == kind
        and not {"enum", "allOf"} & schema.keys()
        and schema.get("format") != "uuid"
        for bound in BOUNDS[kind]
        if bound not in schema
    ]
    none(faults, f"A schema of type {kind} has {' and '.join(BOUNDS[kind])}:")


def test_properties_of_responses_are_required() -> None:
    faults = [
        f"{pointer}: {name}"
        for root, output in OUTPUT_SCHEMAS.items()
        for pointer, schema in subschemas(output, root)
        for name in schema.get("properties", {}).keys()
        - set(schema.get("required", []))
        - OPTIONAL_OUTPUT.get(pointer, set())
    ]
    none(faults, "A property of a response is required, or is in OPTIONAL_OUTPUT:")


def test_optional_properties_of_requests_accept_null() -> None:
    faults = [
        f"{pointer}: {name}"
        for root, schema in INPUT_SCHEMAS.items()
        for pointer, member in subschemas(schema, root)
        for name in member.get("properties", {}).keys() - set(member.get("required", []))
        if errors(None, f"{pointer}/properties/{name}")
    ]
    none(faults, "Clients send null for properties they do not set, but these refuse it:")


def test_nullable_is_repeated_next_to_a_reference() -> None:
    faults = [
        pointer
        for pointer, schema in DOCUMENT.all_schemas()
        for member in schema.get("allOf", [])
        if resolved(member).get("nullable") and not {"type", "nullable"} <= schema.keys()
    ]
    none(faults, "Client generators look for `nullable` only in the property itself:")


def test_requests_allow_unknown_properties_and_have_no_defaults() -> None:
    faults = [
        pointer
        for root, schema in INPUT_SCHEMAS.items()
        for pointer, member in subschemas(schema, root)
        if member.get("additionalProperties") is False or "default" in member
    ]
    none(faults, "A request schema allows unknown properties and describes defaults only in words:")


def test_client_generators_understand_every_alternative() -> None:
    """Many generators merge the objects of an anyOf, or cannot compile a type of null alone.

    `not: {allOf: [{not: A}, {not: B}]}` means the same; they read it as a free object.
    """
    faults = [
        f"{pointer}/{key}"
        for pointer, schema in DOCUMENT.all_schemas()
        for key in ("anyOf", "oneOf")
        if any(map(is_object, schema.get(key, [])))
    ]
    none(faults, "Write alternatives that are objects like DispatcherResponse:")
    faults = [p for p, schema in DOCUMENT.all_schemas() if schema.get("enum") == [None]]
    none(faults, "Add null to the enum of the values instead:")


def is_object(schema: dict[str, Any]) -> bool:
    schema = resolved(schema)
    return schema.get("type") == "object" or any(map(is_object, schema.get("allOf", [])))
