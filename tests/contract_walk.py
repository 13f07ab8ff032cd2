"""Walks through openapi/agent-api.yaml: operations, schemas and examples, each with its place."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT4

PATH = Path(__file__).parents[1] / "openapi" / "agent-api.yaml"
CONTRACT: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
COMPONENTS = CONTRACT["components"]
URI = "urn:contract"
REGISTRY: Registry = Registry().with_resource(URI, DRAFT4.create_resource(CONTRACT))

METHODS = {"get", "put", "post", "delete", "patch", "options", "head", "trace"}
BODY_VERBS = {"post", "put", "patch"}
Found = Iterator[tuple[str, Any]]


def walk(value: Any, pointer: str = "") -> Found:
    """Yield every value of the contract with its JSON Pointer, but nothing inside examples."""
    yield pointer, value
    if pointer.endswith("/example") or re.search(r"/examples/\w+/value$", pointer):
        return
    items = enumerate(value) if isinstance(value, list) else ()
    for key, item in value.items() if isinstance(value, dict) else items:
        yield from walk(item, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")


def at(pointer: str) -> Any:
    value: Any = CONTRACT
    for step in pointer.removeprefix("#").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def resolved(node: Any) -> Any:
    return resolved(at(node["$ref"])) if "$ref" in node else node


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in CONTRACT["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def parameters(path: str, operation: dict[str, Any]) -> list[dict[str, Any]]:
    given = CONTRACT["paths"][path].get("parameters", []) + operation.get("parameters", [])
    return [resolved(parameter) for parameter in given]


def responses() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            yield f"{operation['operationId']} {status}", status, resolved(response)


def media_types() -> Found:
    for pointer, value in walk(CONTRACT):
        if pointer.endswith("/content") and "/properties/" not in pointer:
            for name, media in value.items():
                yield f"{pointer}/{name.replace('/', '~1')}", media


def subschemas(schema: Any, pointer: str) -> Found:
    yield pointer, schema
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), dict):
            yield from subschemas(schema[key], f"{pointer}/{key}")
    for key in ("allOf", "anyOf", "oneOf"):
        for index, member in enumerate(schema.get(key, [])):
            yield from subschemas(member, f"{pointer}/{key}/{index}")
    for name, member in schema.get("properties", {}).items():
        yield from subschemas(member, f"{pointer}/properties/{name}")


def schemas() -> Found:
    for name, schema in COMPONENTS["schemas"].items():
        yield from subschemas(schema, f"/components/schemas/{name}")
    for pointer, value in walk(CONTRACT):
        if pointer.endswith("/schema") and not pointer.startswith("/components/schemas/"):
            yield from subschemas(value, pointer)


def reachable(schema: Any, seen: dict[str, Any]) -> dict[str, Any]:
    """Add to `seen` the component schemas that `schema` leads to, by pointer."""
    for _, member in subschemas(schema, ""):
        reference = member.get("$ref", "").removeprefix("#")
        if reference and reference not in seen:
            seen[reference] = at(reference)
            reachable(seen[reference], seen)
    return seen


def input_schemas() -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for pointer, media in media_types():
        if "/requestBody/" in pointer:
            reachable(media["schema"], seen)
    return seen


def output_schemas() -> dict[str, Any]:
    """The schemas that only answers have; what a client wrote comes back in the client's shape."""
    seen: dict[str, Any] = {}
    for pointer, media in media_types():
        if "/responses/" in pointer:
            reachable(media["schema"], seen)
    return {pointer: seen[pointer] for pointer in seen.keys() - input_schemas().keys()}


def errors(value: Any, schema_pointer: str) -> list[str]:
    validator = OAS30Validator(
        {"$ref": f"{URI}#{schema_pointer}"},
        registry=REGISTRY,
        format_checker=oas30_format_checker,
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def examples() -> Iterator[tuple[str, Any, str]]:
    """Yield every example: where it is, its value, and the pointer of its schema."""
    for name, schema in COMPONENTS["schemas"].items():
        if "example" in schema:
            yield f"schema {name}", schema["example"], f"/components/schemas/{name}"
    for kind in ("parameters", "headers"):
        for name, part in COMPONENTS[kind].items():
            if "example" in part:
                yield f"{kind} {name}", part["example"], f"/components/{kind}/{name}/schema"
    for pointer, media in media_types():
        for name, example in media.get("examples", {}).items():
            yield f"{pointer} {name}", resolved(example)["value"], f"{pointer}/schema"
