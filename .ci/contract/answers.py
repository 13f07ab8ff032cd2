"""Compares the answers of an operation: statuses, headers, bodies."""

from collections.abc import Iterator

from changes import Change, Direction, Kind, Place, code
from document import Node
from parts import content, deprecation, requirement, schema, serialization, unknown, words
from schemas import Comparison

ANSWER = {"content", "description", "headers", "links"}
HEADER = {
    *("deprecated", "description", "example", "examples", "explode", "required", "schema", "style"),
}


def compare(old: Node, new: Node, comparison: Comparison, place: Place) -> Iterator[Change]:
    before = {str(status): answer for status, answer in old.get("responses", {}).items()}
    now = {str(status): answer for status, answer in new.get("responses", {}).items()}
    for status in dict.fromkeys([*before, *now]):
        there = place.within(f"answer {status}", Direction.OUTPUT)
        if status not in now:
            yield there.breaking("is gone")
        elif status not in before:
            # Clients have to be ready for any error; another success is one they do not know. A 304
            # gets only who asks for it, by If-None-Match (RFC 9110 section 15.4.5).
            is_known = status[0] in "45" or status == "304"
            kind = Kind.ADDITION if is_known else Kind.BREAKING
            yield there.change(kind, "is new")
        else:
            answers = comparison.old.resolved(before[status]), comparison.new.resolved(now[status])
            yield from answer(*answers, comparison, there)


def answer(old: Node, new: Node, comparison: Comparison, place: Place) -> Iterator[Change]:
    before = {name.lower(): (name, header) for name, header in old.get("headers", {}).items()}
    now = {name.lower(): (name, header) for name, header in new.get("headers", {}).items()}
    for key in dict.fromkeys([*before, *now]):
        name = before.get(key, now.get(key, ("",)))[0]
        there = place.within(f"the header {code(name)} of {place.part}", Direction.OUTPUT)
        if key not in now:
            yield there.breaking("is gone")
        elif key not in before:
            yield there.addition("is new")
        else:
            headers = comparison.old.resolved(before[key][1]), comparison.new.resolved(now[key][1])
            yield from header(*headers, comparison, there)
    yield from content(comparison, old, new, place)
    yield from words(comparison, old, new, ("description", "links"), place)
    yield from unknown(comparison, old, new, ANSWER, place)


def header(old: Node, new: Node, comparison: Comparison, place: Place) -> Iterator[Change]:
    yield from requirement(old, new, place)
    yield from deprecation(old, new, place)
    if serialization(old) != serialization(new):
        yield place.breaking("is written in another style")
    yield from schema(comparison, old, new, place)
    yield from words(comparison, old, new, ("description", "example", "examples"), place)
    yield from unknown(comparison, old, new, HEADER, place)
