"""Compares the responses of an operation: statuses, headers, bodies."""

from collections.abc import Iterator

from changes import Change, Direction, Kind, Place, code
from document import Node
from parts import SIMPLE, content, deprecation, others, requirement, schema, serialization
from schemas import Comparison


def compare(old: Node, new: Node, comparison: Comparison, place: Place) -> Iterator[Change]:
    before = {str(status): response for status, response in old.get("responses", {}).items()}
    now = {str(status): response for status, response in new.get("responses", {}).items()}
    for status in dict.fromkeys([*before, *now]):
        there = place.within(f"response {status}", Direction.OUTPUT)
        if status not in now:
            yield there.breaking("was removed")
        elif status not in before:
            # Clients must expect any error, but not another success. Only clients that send
            # If-None-Match get a 304 (RFC 9110 section 15.4.5).
            is_expected = status[0] in "45" or status == "304"
            yield there.change(Kind.ADDITION if is_expected else Kind.BREAKING, "was added")
        else:
            pair = comparison.old.resolved(before[status]), comparison.new.resolved(now[status])
            yield from response_changes(*pair, comparison, there)


def response_changes(
    old: Node, new: Node, comparison: Comparison, place: Place
) -> Iterator[Change]:
    before = {name.lower(): (name, header) for name, header in old.get("headers", {}).items()}
    now = {name.lower(): (name, header) for name, header in new.get("headers", {}).items()}
    for key in dict.fromkeys([*before, *now]):
        name = (before.get(key) or now[key])[0]
        there = place.within(f"the header {code(name)} of {place.part}", Direction.OUTPUT)
        if key not in now:
            yield there.breaking("was removed")
        elif key not in before:
            yield there.addition("was added")
        else:
            pair = comparison.old.resolved(before[key][1]), comparison.new.resolved(now[key][1])
            yield from header_changes(*pair, comparison, there)
    yield from content(comparison, old, new, place)
    yield from others(comparison, old, new, {"content", "headers"}, place)


def header_changes(old: Node, new: Node, comparison: Comparison, place: Place) -> Iterator[Change]:
    yield from requirement(old, new, place)
    yield from deprecation(old, new, place)
    if serialization(old) != serialization(new):
        yield place.breaking("has another style")
    yield from schema(comparison, old, new, place)
    yield from others(comparison, old, new, SIMPLE, place)
