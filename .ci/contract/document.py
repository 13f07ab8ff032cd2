"""Reads an OpenAPI document, follows its references and walks through its parts.

The tests use this module too, through tests/contract.py.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# The C loader is ten times faster; PyYAML lacks it if it was built without libyaml.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SCHEMAS = "#/components/schemas/"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LITERAL = {"default", "enum", "example", "value"}
"""Keys of plain values, in which $ref is not a reference."""

Node = dict[str, Any]


class Unusable(Exception):
    """The input is not a readable OpenAPI 3.0 document; the message is one line."""


class Document:
    """An OpenAPI document; `raw` is its content and is never changed."""

    def __init__(self, raw: Any, name: str) -> None:
        if not isinstance(raw, dict) or not str(raw.get("openapi", "")).startswith("3.0."):
            raise Unusable(f"{name} is not an OpenAPI 3.0 document")
        for key in ("info", "paths"):
            if not isinstance(raw.get(key), dict):
                raise Unusable(f"{name} has no {key}")
        self.raw: Node = raw
        self.name = name
        # The cache of meaning.read, by the ids of the schemas, because operations share schemas.
        self.meanings: dict[tuple[int, ...], Any] = {}
        for reference in set(references(raw, set())):
            self.follow(reference)

    @property
    def schemas(self) -> Node:
        found: Node = self.raw.get("components", {}).get("schemas", {})
        return found

    def follow(self, reference: str) -> Any:
        """Return the target of a `$ref`, which must be inside the document."""
        node: Any = self.raw
        if not reference.startswith("#/"):
            raise Unusable(f"{self.name}: the $ref {reference} leaves the document")
        for step in reference.removeprefix("#/").split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(key)] if isinstance(node, list) else node[key]
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise Unusable(f"{self.name}: the $ref {reference} has no target") from error
        return node

    def resolved(self, node: Any) -> Node:
        """Return the parameter, body, response or header that `node` is or refers to.

        OpenAPI ignores the siblings of a $ref; they count here, so that they cannot hide changes.
        """
        seen = []
        while "$ref" in node:
            reference = node["$ref"]
            if reference in seen:
                raise Unusable(f"{self.name}: the $ref {reference} refers to itself")
            seen.append(reference)
            beside = {key: value for key, value in node.items() if key != "$ref"}
            node = self.follow(reference) | beside
        found: Node = node
        return found

    def expanded(self, value: Any, above: tuple[str, ...] = ()) -> Any:
        """Return `value` with each reference replaced by its target, for comparison as a whole.

        A reference inside its own target is kept.
        """
        if isinstance(value, list):
            return [self.expanded(item, above) for item in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if isinstance(reference, str) and reference not in above:
            return self.expanded(self.follow(reference), (*above, reference))
        return {
            key: item if key in LITERAL else self.expanded(item, above)
            for key, item in value.items()
        }

    def operations(self) -> dict[str, tuple[Node, Node]]:
        """Return path items and operations by method and path: `POST /conversations`."""
        items = {
            path: self.resolved(item)
            for path, item in self.raw["paths"].items()
            if path.startswith("/")  # others are extensions
        }
        return {
            f"{method.upper()} {path}": (item, item[method])
            for path, item in items.items()
            for method in METHODS
            if method in item
        }

    def parameters(self, item: Node, operation: Node) -> list[Node]:
        """Return the parameters of the path item, then those of the operation."""
        given = [*item.get("parameters", []), *operation.get("parameters", [])]
        return [self.resolved(parameter) for parameter in given]

    def examples(self, content: Node) -> Node:
        """Return the values of a media type's examples by their names."""
        examples = content.get("examples", {})
        return {name: self.resolved(example)["value"] for name, example in examples.items()}

    def media_types(self) -> Iterator[tuple[str, Node]]:
        """Yield the media types of all bodies and responses, each with its JSON Pointer."""
        for pointer, value in walk(self.raw):
            if pointer.endswith("/content") and "/properties/" not in pointer:
                for name, media in value.items():
                    yield f"{pointer}/{escaped(name)}", media

    def all_schemas(self) -> Iterator[tuple[str, Node]]:
        """Yield every schema and its subschemas, each with its JSON Pointer."""
        for name, schema in self.schemas.items():
            yield from subschemas(schema, f"/components/schemas/{name}")
        for pointer, value in walk(self.raw):
            if pointer.endswith("/schema") and not pointer.startswith("/components/schemas/"):
                yield from subschemas(value, pointer)

    def reachable(self, schema: Node, seen: dict[str, Node]) -> dict[str, Node]:
        """Add to `seen` the component schemas that `schema` refers to, by JSON Pointer."""
        for _, member in subschemas(schema, ""):
            reference = member.get("$ref", "")
            pointer = reference.removeprefix("#")
            if reference and pointer not in seen:
                seen[pointer] = self.follow(reference)
                self.reachable(seen[pointer], seen)
        return seen


def unchanged(old: Document, new: Document) -> set[str]:
    """Return the names of component schemas that are equal, like all that they refer to."""
    equal = {name for name, schema in old.schemas.items() if schema == new.schemas.get(name)}
    targets = {name: set(references(old.schemas[name], set())) for name in equal}
    while True:
        names = {f"{SCHEMAS}{name}" for name in equal}
        changed = {name for name in equal if not targets[name] <= names}
        if not changed:
            return equal
        equal -= changed


def load(path: Path) -> Document:
    try:
        raw = yaml.load(path.read_bytes(), LOADER)  # either is a safe loader
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise Unusable(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return Document(raw, str(path))


def escaped(key: object) -> str:
    """Return `key` as a step of a JSON Pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")


def walk(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value with its JSON Pointer, except those inside examples."""
    yield pointer, value
    if pointer.endswith("/example") or re.search(r"/examples/\w+/value$", pointer):
        return
    items = enumerate(value) if isinstance(value, list) else ()
    for key, item in value.items() if isinstance(value, dict) else items:
        yield from walk(item, f"{pointer}/{escaped(key)}")


def subschemas(schema: Node, pointer: str) -> Iterator[tuple[str, Node]]:
    """Yield `schema` and the schemas in it, each with its JSON Pointer."""
    yield pointer, schema
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), dict):
            yield from subschemas(schema[key], f"{pointer}/{key}")
    for key in ("allOf", "anyOf", "oneOf"):
        for index, member in enumerate(schema.get(key, [])):
            yield from subschemas(member, f"{pointer}/{key}/{index}")
    for name, member in schema.get("properties", {}).items():
        yield from subschemas(member, f"{pointer}/properties/{name}")


def references(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield every `$ref` in `value`. YAML aliases can repeat a value; each is visited once."""
    if not isinstance(value, list | dict) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, list):
        for item in value:
            yield from references(item, seen)
        return
    if isinstance(value.get("$ref"), str):
        yield value["$ref"]
    for key, item in value.items():
        if key not in LITERAL:
            yield from references(item, seen)
