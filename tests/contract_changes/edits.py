"""Edits of a contract, as functions that can be combined."""

import copy
from collections.abc import Callable
from typing import Any

Edit = Callable[[Any], None]


def edited(base: dict[str, Any], edit: Edit) -> dict[str, Any]:
    new = copy.deepcopy(base)
    edit(new)
    return new


# The steps of a path are separated by spaces: "paths /things get parameters 0".


def at(node: Any, path: str) -> Any:
    for step in path.split():
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node


def put(path: str, value: Any) -> Edit:
    above, _, key = path.rpartition(" ")

    def edit(node: Any) -> None:
        parent = at(node, above)
        if isinstance(parent, list):
            parent[int(key)] = copy.deepcopy(value)
        else:
            parent[key] = copy.deepcopy(value)

    return edit


def drop(path: str) -> Edit:
    above, _, key = path.rpartition(" ")

    def edit(node: Any) -> None:
        parent = at(node, above)
        del parent[int(key) if isinstance(parent, list) else key]

    return edit


def add(path: str, value: Any) -> Edit:
    """Append to a list."""
    return lambda node: at(node, path).append(copy.deepcopy(value))


def move(path: str, to: str) -> Edit:
    def edit(node: Any) -> None:
        value = at(node, path)
        drop(path)(node)
        put(to, value)(node)

    return edit


def both(*edits: Edit) -> Edit:
    def edit(node: Any) -> None:
        for one in edits:
            one(node)

    return edit


def ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}
