"""Reads an OpenAPI document and follows its references."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# The loader in C is ten times as fast; a PyYAML built without libyaml lacks it.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SCHEMAS = "#/components/schemas/"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LITERAL = {"default", "enum", "example", "value"}
"""Keys of values that are the author's own, where $ref refers to nothing."""

Node = dict[str, Any]


class Unusable(Exception):
    """The input is not an OpenAPI 3.0 document that can be read; the message is one line."""


class Document:
    """An OpenAPI document; `raw` is its content, never changed."""

    def __init__(self, raw: Any, name: str) -> None:
        if not isinstance(raw, dict) or not str(raw.get("openapi", "")).startswith("3.0."):
            raise Unusable(f"{name} is not an OpenAPI 3.0 document")
        for key in ("info", "paths"):
            if not isinstance(raw.get(key), dict):
                raise Unusable(f"{name} has no {key}")
        self.raw: Node = raw
        self.name = name
        # What meaning.py has read, by the ids of the schemas: many operations share them.
        self.meanings: dict[tuple[int, ...], Any] = {}
        for reference in set(references(raw, set())):
            self.follow(reference)

    @property
    def schemas(self) -> Node:
        found: Node = self.raw.get("components", {}).get("schemas", {})
        return found

    def follow(self, reference: str) -> Any:
        """Return what a `$ref` names. Only this file's own parts can be named."""
        node: Any = self.raw
        if not reference.startswith("#/"):
            raise Unusable(f"{self.name}: the $ref {reference} leads out of the document")
        for step in reference.removeprefix("#/").split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(key)] if isinstance(node, list) else node[key]
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise Unusable(f"{self.name}: the $ref {reference} leads nowhere") from error
        return node

    def resolved(self, node: Any) -> Node:
        """Return a parameter, body, answer or header where `node` refers to it.

        OpenAPI ignores what stands beside a $ref; here it counts, so that nothing hides there.
        """
        seen = []
        while "$ref" in node:
            reference = node["$ref"]
            if reference in seen:
                raise Unusable(f"{self.name}: the $ref {reference} leads to itself")
            seen.append(reference)
            beside = {key: value for key, value in node.items() if key != "$ref"}
            node = self.follow(reference) | beside
        found: Node = node
        return found

    def expanded(self, value: Any, above: tuple[str, ...] = ()) -> Any:
        """Return `value` with what it refers to in the references' place, for comparing it whole.

        A reference within what it leads to stays.
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
        """Return path item and operation, by method and path: `POST /conversations`."""
        items = {
            path: self.resolved(item)
            for path, item in self.raw["paths"].items()
            if path.startswith("/")  # or it is an extension
        }
        return {
            f"{method.upper()} {path}": (item, item[method])
            for path, item in items.items()
            for method in METHODS
            if method in item
        }


def load(path: Path) -> Document:
    try:
        raw = yaml.load(path.read_bytes(), LOADER)  # both are safe loaders
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise Unusable(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return Document(raw, str(path))


def references(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield every `$ref` below `value`; by YAML's aliases a value can be in many places."""
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
