"""Compares two documents and returns their changes."""

from collections.abc import Iterator

import parts
from changes import Change, Kind, Place, code, listed
from document import Document, Node, unchanged
from operations import Operation
from schemas import Comparison

COMPARED = {"components", "info", "paths", "security", "servers", "tags"}


def compare(old: Document, new: Document) -> list[Change]:
    return list(dict.fromkeys(changes(old, new)))


def changes(old: Document, new: Document) -> Iterator[Change]:
    """Yield the changes as they are found; a schema that several operations use can repeat."""
    yield from operations(old, new)
    yield from components(old, new)
    yield from servers(old, new)
    yield from documentation(old, new)


def operations(old: Document, new: Document) -> Iterator[Change]:
    before, now = old.operations(), new.operations()
    same = unchanged(old, new)
    for name in dict.fromkeys([*before, *now]):
        if name not in now:
            yield Place(name).breaking("was removed")
        elif name not in before:
            summary = now[name][1].get("summary", "")
            yield Place(name).addition(f"was added: {summary}" if summary else "was added")
        else:
            yield from Operation(name, old, new, same).changes()


def components(old: Document, new: Document) -> Iterator[Change]:
    """Compare schema names and security schemes; other components are compared where used."""
    for name in (name for name in old.schemas if name not in new.schemas):
        # Generated clients lose a type, even if nothing changes on the wire.
        yield Place(part=f"the schema {code(name)}").breaking("was removed")
    before, now = (
        document.raw.get("components", {}).get("securitySchemes", {}) for document in (old, new)
    )
    comparison = Comparison(old, new)
    for name in before:
        place = Place(part=f"the security scheme {code(name)}")
        if name not in now:
            yield place.breaking("was removed")
            continue
        schemes = old.resolved(before[name]), new.resolved(now[name])
        yield from parts.others(comparison, *schemes, set(), place)


def servers(old: Document, new: Document) -> Iterator[Change]:
    place = Place(part="the server's URL")
    default: list[Node] = [{"url": "/"}]
    before, now = (document.raw.get("servers") or default for document in (old, new))
    was, urls = [s["url"] for s in before], [s["url"] for s in now]
    if not set(was) <= set(urls) or was[0] != urls[0]:  # clients use the first
        yield place.breaking(f"is {listed(urls)} (before: {listed(was)})")
    elif set(was) != set(urls):
        yield place.addition(f"can be {listed(urls)} (before: {listed(was)})")
    comparison = Comparison(old, new)
    for one in before:
        for other in (server for server in now if server["url"] == one["url"]):
            yield from parts.others(comparison, one, other, {"url"}, place)


def documentation(old: Document, new: Document) -> Iterator[Change]:
    comparison, place = Comparison(old, new), Place()
    infos = old.raw["info"], new.raw["info"]
    yield from parts.others(comparison, *infos, {"version"}, place)
    yield from parts.others(comparison, old.raw, new.raw, COMPARED, place)
    paths = {key for key in (*old.raw["paths"], *new.raw["paths"]) if key.startswith("/")}
    yield from parts.others(comparison, old.raw["paths"], new.raw["paths"], paths, place)
    before, now = ({tag["name"]: tag for tag in d.raw.get("tags", [])} for d in (old, new))
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            yield Place(part=f"the tag {code(name)}").change(Kind.WORDING, "has new wording")
