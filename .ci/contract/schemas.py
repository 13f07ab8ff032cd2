"""Compares two schemas in one direction."""

from collections.abc import Iterator, Set

import values
from changes import Change, Kind, Place, code
from document import Document, Node
from meaning import Meaning, Schemas, Words, named, own_words, read

ANYTHING: Node = {}


class Comparison:
    """Compares the schemas of one operation.

    Each pair is compared once in a direction. This ends recursion, and reports a schema once that
    many responses share. Components in `unchanged` are skipped, which takes half of the time.
    """

    def __init__(
        self,
        old: Document,
        new: Document,
        unchanged: Set[str] = frozenset(),
        seen: Set[object] = frozenset(),
    ) -> None:
        self.old = old
        self.new = new
        self.unchanged = unchanged
        self.seen = set(seen)

    def changes(self, old: Schemas, new: Schemas, place: Place) -> Iterator[Change]:
        pair = (tuple(map(id, old)), tuple(map(id, new)), place.direction)
        if pair in self.seen:
            return
        self.seen.add(pair)
        name, now = named(old), named(new)
        if name and name == now:
            yield from wording(own(old), own(new), place)
            if name in self.unchanged:
                return
            targets = (self.old.schemas[name],), (self.new.schemas[name],)
            yield from self.changes(*targets, place.of(name))
            return
        a, b = read(self.old, old), read(self.new, new)
        yield from wording(a.words, b.words, place)
        if name and now and (a.properties or a.enum):
            # Generated clients get another class, even if the wire format is the same.
            yield place.breaking(f"is {code(now)} (before: {code(name)})")
        if (a.type, a.format) != (b.type, b.format):
            # Even if more is allowed: generated clients give it another type.
            yield place.breaking(f"is {values.shown(b)} (before: {values.shown(a)})")
        if a.type == b.type:
            yield from values.compare(a, b, place)
            yield from self.properties(a, b, place)
            yield from self.additional(a, b, place)
            yield from self.choices(a, b, place)
            if a.items or b.items:
                items = a.items or (ANYTHING,), b.items or (ANYTHING,)
                yield from self.changes(*items, place.at("items"))
        for source in sorted(a.sources & b.sources - {""}):
            # It has its own type in generated clients.
            targets = (self.old.schemas[source],), (self.new.schemas[source],)
            yield from self.changes(*targets, place.of(source))
        for key in sorted(a.unknown.keys() | b.unknown.keys()):
            if a.unknown.get(key) != b.unknown.get(key):
                yield place.breaking(f"has another {code(key)}, which this check does not know")

    def properties(self, old: Meaning, new: Meaning, place: Place) -> Iterator[Change]:
        for name in dict.fromkeys([*old.properties, *new.properties, *old.required, *new.required]):
            there = place_of(name, old, new, place).at(name)
            if name in old.properties and name not in new.properties:
                yield there.breaking("was removed")
                continue
            if name not in old.required and name in new.required:
                yield there.change(there.direction.narrower, "is now required")
            if name in old.required and name not in new.required:
                yield there.change(there.direction.wider, "is no longer required")
            if name in old.properties:
                yield from self.changes(old.properties[name], new.properties[name], there)
            elif name in new.properties:
                yield from self.new_property(name, old, new, there)

    def new_property(self, name: str, old: Meaning, new: Meaning, place: Place) -> Iterator[Change]:
        """Compare a new property with what an open object could contain under its name before."""
        closed = old.additional is False
        kind = place.direction.wider if closed else place.direction.opened
        yield place.change(kind, "was added")
        if old.keeps_others and not closed:
            before = old.additional if isinstance(old.additional, tuple) else (ANYTHING,)
            yield from self.changes(before, new.properties[name], place)

    def additional(self, old: Meaning, new: Meaning, place: Place) -> Iterator[Change]:
        verb = place.direction.verb
        match old.additional, new.additional:
            case tuple(), tuple():
                yield from self.changes(old.additional, new.additional, place.at("*"))
            case (True, False | tuple()) | (tuple(), False):
                yield place.change(place.direction.narrower, f"{verb} {others(new)}")
            case (False, True | tuple()) | (tuple(), True):
                yield place.change(place.direction.wider, f"{verb} {others(new)}")

    def choices(self, old: Meaning, new: Meaning, place: Place) -> Iterator[Change]:
        yield from self.groups("anyOf", old.any_of, new.any_of, place)
        yield from self.groups("oneOf", old.one_of, new.one_of, place.exactly())
        nots = [[schema] for schema in old.nots], [[schema] for schema in new.nots]
        yield from self.groups("not", *nots, place.exactly())

    def groups(
        self, key: str, old: list[list[Node]], new: list[list[Node]], place: Place
    ) -> Iterator[Change]:
        """Compare the anyOf lists of two schemas; with allOf a schema can have several."""
        for before, now in zip(old, new, strict=False):
            yield from self.members(before, now, place.at(key))
        if len(old) < len(new):
            yield place.change(place.direction.narrower, f"now has {code(key)}")
        if len(old) > len(new):
            yield place.change(place.direction.wider, f"no longer has {code(key)}")

    def members(self, old: list[Node], new: list[Node], place: Place) -> Iterator[Change]:
        """Compare as sets: match equal members, then members of the same name, then by order."""
        before, now = list(old), list(new)
        pairs: list[tuple[Node, Node]] = []
        for fits in (self.same, same_name):
            for one in list(before):
                other = next((schema for schema in now if fits(one, schema, place)), None)
                if other is not None:
                    pairs.append((one, other))
                    before = [schema for schema in before if schema is not one]
                    now = [schema for schema in now if schema is not other]
        pairs += zip(before, now, strict=False)
        for one, other in pairs:
            yield from self.changes((one,), (other,), place)
        for schema in before[len(now) :]:
            words = f"no longer {place.direction.verb} {shape(schema)}"
            yield place.change(place.direction.narrower, words)
        for schema in now[len(before) :]:
            yield place.change(
                place.direction.wider, f"also {place.direction.verb} {shape(schema)}"
            )

    def same(self, old: Node, new: Node, place: Place) -> bool:
        """Tell whether only wording differs. Pairs that were compared already count as the same."""
        trial = Comparison(self.old, self.new, self.unchanged, self.seen)
        found = trial.changes((old,), (new,), place)
        return all(change.kind is Kind.WORDING for change in found)


def same_name(old: Node, new: Node, _place: Place) -> bool:
    return bool(named((old,))) and named((old,)) == named((new,))


def shape(schema: Node) -> str:
    return code(named((schema,)) or schema.get("type", "") or "another shape")


def others(meaning: Meaning) -> str:
    match meaning.additional:
        case True:
            return "any additional properties"
        case False:
            return "no additional properties"
    return "additional properties of one type only"


def place_of(name: str, old: Meaning, new: Meaning, place: Place) -> Place:
    """Return the place of the schema that has a property: a component if allOf merges it in."""
    owners = {meaning.owners.get(name, "") for meaning in (old, new) if name in meaning.owners}
    owners |= {meaning.required[name] for meaning in (old, new) if name in meaning.required}
    owner = owners.pop() if len(owners) == 1 else ""
    return place.of(owner) if owner and owner in old.sources & new.sources else place


def own(schemas: Schemas) -> Words:
    """Return the wording beside a reference."""
    return {("", key): word for key, word in own_words(schemas[0]).items()}


def wording(old: Words, new: Words, place: Place) -> Iterator[Change]:
    """Compare titles, descriptions and examples; ignore those that only moved."""
    changed: dict[str, list[str]] = {}
    for owner, key in dict.fromkeys([*old, *new]):
        before, now = ([v for (_, k), v in side.items() if k == key] for side in (old, new))
        if before != now and old.get((owner, key)) != new.get((owner, key)):
            both = any(o == owner for o, _ in old) and any(o == owner for o, _ in new)
            changed.setdefault(owner if both else "", []).append(key)
    for owner, keys in changed.items():
        there = place.of(owner) if owner else place
        yield there.change(Kind.WORDING, f"has new wording: {', '.join(dict.fromkeys(keys))}")
