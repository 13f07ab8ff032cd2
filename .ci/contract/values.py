"""Compares the rules of two schemas for the value itself: null, enum, bounds, pattern, default."""

from collections.abc import Iterator

from changes import Change, Place, code, listed
from meaning import ANY, LOWER, UPPER, Meaning, Tightness

NOUNS = {
    "Length": ("character", "characters", "any length"),
    "Items": ("item", "items", "any number of items"),
    "Properties": ("property", "properties", "any number of properties"),
    "imum": ("", "", "any number"),
}


def compare(old: Meaning, new: Meaning, place: Place) -> Iterator[Change]:
    if old.null and not new.null:
        yield place.change(place.direction.narrower, "can no longer be null")
    if new.null and not old.null:
        yield place.change(place.direction.wider, "can now be null")
    yield from enums(old, new, place)
    for key in (*LOWER, *UPPER):
        yield from bound(key, old.bounds.get(key), new.bounds.get(key), place)
    stricter = old.patterns <= new.patterns
    looser = new.patterns <= old.patterns
    before, now = (listed(sorted(m.patterns)) or "nothing" for m in (old, new))
    yield from constraint(stricter, looser, f"matches {now} (before: {before})", place)
    stricter = all(any(n % o == 0 for n in new.multiples) for o in old.multiples)
    looser = all(any(o % n == 0 for o in old.multiples) for n in new.multiples)
    before, now = (listed(map(str, sorted(m.multiples))) or "nothing" for m in (old, new))
    yield from constraint(stricter, looser, f"is a multiple of {now} (before: {before})", place)
    stricter, looser = new.unique >= old.unique, old.unique >= new.unique
    words = "must have unique items" if new.unique else "can repeat items"
    yield from constraint(stricter, looser, words, place)
    if old.default != new.default:
        before, now = (listed(m.default) or "none" for m in (old, new))
        yield place.breaking(f"has the default {now} (before: {before})")
    if old.deprecated != new.deprecated:
        yield place.addition("is now deprecated" if new.deprecated else "is no longer deprecated")


def enums(old: Meaning, new: Meaning, place: Place) -> Iterator[Change]:
    verb, narrower, wider = place.direction.verb, place.direction.narrower, place.direction.wider
    if old.enum is None or new.enum is None:
        if old.enum is not None:
            yield place.change(
                wider, f"{verb} any value (before: only {listed(old.enum.values())})"
            )
        if new.enum is not None:
            yield place.change(
                narrower, f"{verb} only {listed(new.enum.values())} (before: any value)"
            )
        return
    gone = [value for key, value in old.enum.items() if key not in new.enum]
    more = [value for key, value in new.enum.items() if key not in old.enum]
    if gone:
        yield place.change(narrower, f"no longer {verb} {listed(gone)}")
    if more:
        yield place.change(wider, f"also {verb} {listed(more)}")


def bound(key: str, old: Tightness | None, new: Tightness | None, place: Place) -> Iterator[Change]:
    if old == new:
        return
    stricter = old is None or (new is not None and new > old)
    kind = place.direction.narrower if stricter else place.direction.wider
    before, now = limit(key, old), limit(key, new)
    if old and new and old[1] == new[1]:
        before = number(key, old)
    yield place.change(kind, f"{place.direction.verb} {now} (before: {before})")


def limit(key: str, tightness: Tightness | None) -> str:
    """Return a bound in words: `at most 200 characters`."""
    one, many, unbounded = next(noun for part, noun in NOUNS.items() if key.endswith(part))
    if tightness is None:
        return unbounded
    inclusive, exclusive = ("at most", "less than") if key in UPPER else ("at least", "more than")
    value = number(key, tightness)
    words = exclusive if tightness[1] else inclusive
    return f"{words} {value} {one if value == '1' else many}".rstrip()


def number(key: str, tightness: Tightness) -> str:
    return str(-tightness[0] if key in UPPER else tightness[0])


def constraint(stricter: bool, looser: bool, words: str, place: Place) -> Iterator[Change]:
    """Yield the change of a rule that can be stricter, looser, or neither and different."""
    if stricter and looser:
        return
    if stricter:
        yield place.change(place.direction.narrower, words)
    elif looser:
        yield place.change(place.direction.wider, words)
    else:
        yield place.breaking(words)


def shown(meaning: Meaning) -> str:
    name = code(meaning.type) if meaning.type != ANY else ANY
    return " ".join([name, *(f"({name})" for name in meaning.format)])
