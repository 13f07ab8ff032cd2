"""Compares the operations that exist in both documents."""

from collections.abc import Iterator, Set
from typing import Any

import parts
import responses
from changes import Change, Direction, Kind, Place, code, listed, literal
from document import METHODS, Document, Node
from schemas import Comparison

COMPARED = {
    *("deprecated", "operationId", "parameters", "requestBody", "responses", "security", "tags"),
    *METHODS,
}

Security = set[frozenset[tuple[str, frozenset[str]]]]
"""Alternatives for authentication, each a set of schemes with their scopes."""


class Operation:
    """An operation in both documents."""

    def __init__(self, name: str, old: Document, new: Document, unchanged: Set[str]) -> None:
        self.old, self.new = old, new
        self.place = Place(name)
        self.comparison = Comparison(old, new, unchanged)
        (self.old_item, self.old_node), (self.new_item, self.new_node) = (
            document.operations()[name] for document in (old, new)
        )

    def changes(self) -> Iterator[Change]:
        place = self.place
        before, now = self.old_node.get("operationId"), self.new_node.get("operationId")
        if before != now:
            yield place.breaking(f"has the operationId {named(now)} (before: {named(before)})")
        before, now = (
            listed(n.get("tags", [])) or "no tag" for n in (self.old_node, self.new_node)
        )
        if before != now:
            # Generated clients have a class for each tag.
            yield place.breaking(f"has the tag {now} (before: {before})")
        yield from parts.deprecation(self.old_node, self.new_node, place)
        for old, new in ((self.old_node, self.new_node), (self.old_item, self.new_item)):
            yield from parts.others(self.comparison, old, new, COMPARED, place)
        yield from self.parameters()
        yield from self.body()
        yield from responses.compare(self.old_node, self.new_node, self.comparison, place)
        yield from self.security()

    def parameters(self) -> Iterator[Change]:
        old = parameters(self.old, self.old_item, self.old_node)
        new = parameters(self.new, self.new_item, self.new_node)
        for key, parameter in old.items():
            place = self.place.within(f"the {key[0]} parameter {code(key[1])}", Direction.INPUT)
            moved = [where for where, name in new if name == key[1] and (where, name) not in old]
            if key in new:
                yield from self.parameter(parameter, new[key], place)
            elif moved:
                yield place.breaking(f"was moved to the {moved[0]}")
            else:
                yield place.breaking("was removed")
        old_names = {name for where, name in old if (where, name) not in new}
        for (where, name), parameter in new.items():
            if (where, name) not in old and name not in old_names:
                place = self.place.within(f"the {where} parameter {code(name)}", Direction.INPUT)
                if parameter.get("required", False):
                    yield place.breaking("was added and is required")
                else:
                    yield place.addition("was added")

    def parameter(self, old: Node, new: Node, place: Place) -> Iterator[Change]:
        yield from parts.requirement(old, new, place)
        yield from parts.deprecation(old, new, place)
        for key, before, now in zip(
            ("style", "explode"), parts.serialization(old), parts.serialization(new), strict=True
        ):
            if before != now:
                words = f"{code(literal(now))} (before: {code(literal(before))})"
                yield place.breaking(f"has the {key} {words}")
        yield from parts.schema(self.comparison, old, new, place)
        yield from parts.others(self.comparison, old, new, parts.SIMPLE, place)

    def body(self) -> Iterator[Change]:
        place = self.place.within("the request body", Direction.INPUT)
        old, new = self.old_node.get("requestBody"), self.new_node.get("requestBody")
        if old is None and new is not None:
            required = self.new.resolved(new).get("required", False)
            words = "was added and is required" if required else "was added"
            yield place.change(Kind.BREAKING if required else Kind.ADDITION, words)
        if old is not None and new is None:
            yield place.breaking("was removed")
        if old is None or new is None:
            return
        old, new = self.old.resolved(old), self.new.resolved(new)
        yield from parts.requirement(old, new, place)
        yield from parts.content(self.comparison, old, new, place)
        yield from parts.others(self.comparison, old, new, {"content", "required"}, place)

    def security(self) -> Iterator[Change]:
        old, new = alternatives(self.old, self.old_node), alternatives(self.new, self.new_node)
        if old == new:
            return
        words = f"requires {shown(new)} (before: {shown(old)})"
        if all(any(satisfies(was, now) for now in new) for was in old):
            yield self.place.addition(words)
        else:
            yield self.place.breaking(words)


def parameters(document: Document, item: Node, operation: Node) -> dict[tuple[str, str], Node]:
    """Return parameters by place and name; those of the operation override those of its path."""
    found = {}
    for parameter in document.parameters(item, operation):
        where, name = parameter["in"], parameter["name"]
        found[where, name.lower() if where == "header" else name] = parameter
    return found


def alternatives(document: Document, operation: Node) -> Security:
    security = operation.get("security", document.raw.get("security", [])) or [{}]
    return {
        frozenset((scheme, frozenset(scopes)) for scheme, scopes in schemes.items())
        for schemes in security
    }


def satisfies(old: frozenset[Any], new: frozenset[Any]) -> bool:
    """Tell whether a client that satisfies the alternative `old` also satisfies `new`."""
    has = dict(old)
    return all(scheme in has and scopes <= has[scheme] for scheme, scopes in new)


def shown(security: Security) -> str:
    texts = []
    for alternative in security:
        schemes = [" ".join([code(name), *sorted(scopes)]) for name, scopes in sorted(alternative)]
        texts.append(" with ".join(schemes) or "nothing")
    return " or ".join(sorted(texts))


def named(operation_id: str | None) -> str:
    return code(operation_id) if operation_id else "none"
