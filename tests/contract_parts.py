"""The parts of openapi/agent-api.yaml that the tests of its style go through."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.contract import CONTRACT, DOCUMENT, resolved

COMPONENTS = CONTRACT["components"]
URI = "urn:contract"
REGISTRY: Registry = Registry().with_resource(URI, DRAFT4.create_resource(CONTRACT))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method and the node of each operation."""
    for name, (_, operation) in DOCUMENT.operations().items():
        method, path = name.split()
        yield path, method.lower(), operation


def parameters(path: str, operation: dict[str, Any]) -> list[dict[str, Any]]:
    return DOCUMENT.parameters(CONTRACT["paths"][path], operation)


def responses() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield operationId with status, the status, and the response."""
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            yield f"{operation['operationId']} {status}", status, resolved(response)


def examples() -> Iterator[tuple[str, Any, str]]:
    """Yield every example: where it is, its value, and the pointer of its schema."""
    for name, schema in COMPONENTS["schemas"].items():
        if "example" in schema:
            yield f"schema {name}", schema["example"], f"/components/schemas/{name}"
    for kind in ("parameters", "headers"):
        for name, part in COMPONENTS[kind].items():
            if "example" in part:
                yield f"{kind} {name}", part["example"], f"/components/{kind}/{name}/schema"
    for pointer, media in DOCUMENT.media_types():
        for name, value in DOCUMENT.examples(media).items():
            yield f"{pointer} {name}", value, f"{pointer}/schema"


def errors(value: Any, schema_pointer: str) -> list[str]:
    validator = OAS30Validator(
        {"$ref": f"{URI}#{schema_pointer}"},
        registry=REGISTRY,
        format_checker=oas30_format_checker,
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def none(faults: Iterable[str], rule: str) -> None:
    """Fail with the rule and every place that breaks it."""
    places = sorted(faults)
    if places:
        pytest.fail("\n  ".join([rule, *places]), pytrace=False)
