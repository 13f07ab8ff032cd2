"""Compares what parameters, headers, bodies and responses have in common."""

from collections.abc import Iterator

from changes import Change, Kind, Place, code
from document import Node
from schemas import ANYTHING, Comparison

WORDING = {
    *("bearerFormat", "contact", "description", "example", "examples", "externalDocs", "license"),
    *("links", "openapi", "summary", "termsOfService", "title"),
}
"""Keywords that do not affect clients."""
SIMPLE = {"deprecated", "explode", "in", "name", "required", "schema", "style"}
"""The keywords of parameters and headers that are compared."""


def content(comparison: Comparison, old: Node, new: Node, place: Place) -> Iterator[Change]:
    before, now = old.get("content", {}), new.get("content", {})
    for media in dict.fromkeys([*before, *now]):
        if media not in now:
            yield place.breaking(f"is no longer available as {code(media)}")
        elif media not in before:
            # A client that accepts any response can receive this one.
            yield place.change(place.direction.wider, f"can also be {code(media)}")
        else:
            many = len(before) > 1 or len(now) > 1
            part = f"{place.part} as {code(media)}" if many else place.part
            there = place.within(part, place.direction)
            yield from schema(comparison, before[media], now[media], there)
            yield from others(comparison, before[media], now[media], {"schema"}, there)


def schema(comparison: Comparison, old: Node, new: Node, place: Place) -> Iterator[Change]:
    """Compare the schemas of a parameter, header or media type; without one any value is valid."""
    schemas = (old.get("schema", ANYTHING),), (new.get("schema", ANYTHING),)
    yield from comparison.changes(*schemas, place)


def requirement(old: Node, new: Node, place: Place) -> Iterator[Change]:
    before, now = old.get("required", False), new.get("required", False)
    if now and not before:
        yield place.change(place.direction.narrower, "is now required")
    if before and not now:
        yield place.change(place.direction.wider, "is no longer required")


def deprecation(old: Node, new: Node, place: Place) -> Iterator[Change]:
    before, now = old.get("deprecated", False), new.get("deprecated", False)
    if before != now:
        yield place.addition("is now deprecated" if now else "is no longer deprecated")


def serialization(part: Node) -> tuple[str, bool]:
    """Return style and explode of a parameter or header, with the defaults of OpenAPI."""
    style = part.get("style", "form" if part.get("in") in {"query", "cookie"} else "simple")
    return style, part.get("explode", style == "form")


def others(
    comparison: Comparison, old: Node, new: Node, compared: set[str], place: Place
) -> Iterator[Change]:
    """Compare the keywords that are not `compared` elsewhere: if not wording, they are breaking."""
    keys = [key for key in dict.fromkeys((*old, *new)) if key not in compared]
    changed = [key for key in keys if not same(comparison, old, new, key)]
    if words := [key for key in changed if key in WORDING]:
        yield place.change(Kind.WORDING, f"has new wording: {', '.join(words)}")
    for key in changed:
        if key not in WORDING:
            yield place.breaking(f"has another {code(key)}")


def same(comparison: Comparison, old: Node, new: Node, key: str) -> bool:
    if (key in old) != (key in new):
        return False
    before, now = {key: old.get(key)}, {key: new.get(key)}
    return bool(comparison.old.expanded(before) == comparison.new.expanded(now))
