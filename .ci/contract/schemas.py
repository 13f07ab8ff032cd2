"""Compares two schemas in a direction."""

from collections.abc import Iterator

import values
from changes import Change, Kind, Place, code
from document import Document, Node
from meaning import Meaning, Schemas, Words, named, own_words, read

ANYTHING: Node = {}


class Comparison:
    """Compares the schemas of one operation; a pair it has seen in a direction, it passes over.

    So recursion ends, and what many answers share is said once.
    """

    def __init__(self, old: Document, new: Document, seen: set[object] | None = None) -> None:
        self.old = old
        self.new = new
        self.seen: set[object] = set() if seen is None else seen

    def changes(self, old: Schemas, new: Schemas, place: Place) -> Iterator[Change]:
        pair = (tuple(map(id, old)), tuple(map(id, new)), place.direction)
        if pair in self.seen:
            return
        self.seen.add(pair)
        name, now = named(old), named(new)
        if name and name == now:
            yield from wording(own(old), own(new), place)
            targets = (self.old.schemas[name],), (self.new.schemas[name],)
            yield from self.changes(*targets, place.of(name))
            return
        a, b = read(self.old, old), read(self.new, new)
        yield from wording(a.words, b.words, place)
        if name and now and (a.properties or a.enum):
            # The same on the wire or not, it is another class in generated clients.
            yield place.breaking(f"is {code(now)}, before {code(name)}")
        if (a.type, a.format) != (b.type, b.format):
            # Also where more is admitted: generated clients give it another type.
            yield place.breaking(f"is {values.shown(b)}, before {values.shown(a)}")
        if a.type == b.type:
            yield from values.compare(a, b, place)
            yield from self.properties(a, b, place)
            yield from self.additional(a, b, place)
            yield from self.choices(a, b, place)
            if a.items or b.items:
                items = a.items or (ANYTHING,), b.items or (ANYTHING,)
                yield from self.changes(*items, place.at("items"))
        for source in sorted(a.sources & b.sources - {""}):
            # Its own type in generated clients, whatever is said beside it here.
            targets = (self.old.schemas[source],), (self.new.schemas[source],)
            yield from self.changes(*targets, place.of(source))
        for key in sorted(a.unknown.keys() | b.unknown.keys()):
            if a.unknown.get(key) != b.unknown.get(key):
                yield place.breaking(f"has another {code(key)}, which is not understood here")

    def properties(self, old: Meaning, new: Meaning, place: Place) -> Iterator[Change]:
        for name in dict.fromkeys([*old.properties, *new.properties, *old.required, *new.required]):
            there = place_of(name, old, new, place).at(name)
            if name in old.properties and name not in new.properties:
                yield there.breaking("is gone")
                continue
            if name not in old.required and name in new.required:
                yield there.change(there.direction.narrower, "is required")
            if name in old.required and name not in new.required:
                yield there.change(there.direction.wider, "is no longer required")
            if name in old.properties:
                yield from self.changes(old.properties[name], new.properties[name], there)
            elif name in new.properties:
                yield from self.new_property(name, old, new, there)

    def new_property(self, name: str, old: Meaning, new: Meaning, place: Place) -> Iterator[Change]:
        """An object that has kept unknown properties may have had this one, of any kind."""
        closed = old.additional is False
        kind = place.direction.wider if closed else place.direction.opened
        yield place.change(kind, "is new")
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
        """Compare the anyOf of two schemas; through allOf one can have several."""
        for before, now in zip(old, new, strict=False):
            yield from self.members(before, now, place.at(key))
        if len(old) < len(new):
            yield place.change(place.direction.narrower, f"has now {code(key)}")
        if len(old) > len(new):
            yield place.change(place.direction.wider, f"has no {code(key)} any more")

    def members(self, old: list[Node], new: list[Node], place: Place) -> Iterator[Change]:
        """Compare as sets: equal members first, then those of a name, then in order."""
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
            words = f"{place.direction.verb} {shape(schema)} no longer"
            yield place.change(place.direction.narrower, words)
        for schema in now[len(before) :]:
            yield place.change(place.direction.wider, f"{place.direction.verb} {shape(schema)} too")

    def same(self, old: Node, new: Node, place: Place) -> bool:
        """Tell whether nothing differs but words. What was seen already counts as the same."""
        trial = Comparison(self.old, self.new, set(self.seen))
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
            return "no additional properties any more"
    return "additional properties of one kind only"


def place_of(name: str, old: Meaning, new: Meaning, place: Place) -> Place:
    """Return the place of what a property belongs to: a component, where allOf merges it in."""
    owners = {meaning.owners.get(name, "") for meaning in (old, new) if name in meaning.owners}
    owners |= {meaning.required[name] for meaning in (old, new) if name in meaning.required}
    owner = owners.pop() if len(owners) == 1 else ""
    return place.of(owner) if owner and owner in old.sources & new.sources else place


def own(schemas: Schemas) -> Words:
    """Return the words beside a reference."""
    return {("", key): word for key, word in own_words(schemas[0]).items()}


def wording(old: Words, new: Words, place: Place) -> Iterator[Change]:
    """Compare titles, descriptions and examples; where one only moved, nothing changed."""
    changed: dict[str, list[str]] = {}
    for owner, key in dict.fromkeys([*old, *new]):
        before, now = ([v for (_, k), v in side.items() if k == key] for side in (old, new))
        if before != now and old.get((owner, key)) != new.get((owner, key)):
            both = any(o == owner for o, _ in old) and any(o == owner for o, _ in new)
            changed.setdefault(owner if both else "", []).append(key)
    for owner, keys in changed.items():
        there = place.of(owner) if owner else place
        yield there.change(Kind.WORDING, f"has new wording: {', '.join(dict.fromkeys(keys))}")
