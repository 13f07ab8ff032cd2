"""A change, where it was found, and what it means for clients."""

import json
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any


class Kind(StrEnum):
    """What a change requires: a new major, minor or patch version."""

    BREAKING = "Breaking"
    ADDITION = "Compatible"
    WORDING = "Changed wording"


class Direction(Enum):
    """The side that writes a value: it decides if a narrower or a wider value breaks clients."""

    INPUT = "in requests"
    OUTPUT = "in responses"
    EXACT = "in oneOf or not"
    """Inside oneOf and not, a narrower schema can allow more values, so neither is safe."""

    @property
    def narrower(self) -> Kind:
        return Kind.ADDITION if self is Direction.OUTPUT else Kind.BREAKING

    @property
    def wider(self) -> Kind:
        return Kind.ADDITION if self is Direction.INPUT else Kind.BREAKING

    @property
    def opened(self) -> Kind:
        """The kind of a new optional property: the other side ignores unknown properties."""
        return Kind.BREAKING if self is Direction.EXACT else Kind.ADDITION

    @property
    def verb(self) -> str:
        return "has" if self is Direction.OUTPUT else "accepts"


@dataclass(frozen=True)
class Change:
    """One difference in one operation; `where` and `words` make a sentence."""

    operation: str  # POST /conversations; empty for the whole contract
    schema: str  # the component schema it is in; empty if the operation itself has it
    where: str
    words: str
    kind: Kind


@dataclass(frozen=True)
class Place:
    """A place that exists in both documents."""

    operation: str = ""
    part: str = ""  # of the operation, such as "the request body"
    schema: str = ""
    pointer: str = ""
    direction: Direction = Direction.EXACT

    def at(self, step: str) -> "Place":
        return replace(self, pointer=f"{self.pointer}/{step}".removeprefix("/"))

    def within(self, part: str, direction: Direction) -> "Place":
        return replace(self, part=part, direction=direction)

    def of(self, schema: str) -> "Place":
        """Return the place of a component schema itself, which does not depend on its use."""
        return replace(self, schema=schema, pointer="", part="")

    def exactly(self) -> "Place":
        return replace(self, direction=Direction.EXACT)

    def change(self, kind: Kind, words: str) -> Change:
        # New wording is reported once for both directions.
        side = "" if kind is Kind.WORDING else f" {self.direction.value}"
        where = " of ".join(filter(None, [self.pointer and code(self.pointer), self.part]))
        schema = self.schema and f"{code(self.schema)}{side}"
        return Change(self.operation, schema, where or "it", words, kind)

    def breaking(self, words: str) -> Change:
        return self.change(Kind.BREAKING, words)

    def addition(self, words: str) -> Change:
        return self.change(Kind.ADDITION, words)


def code(text: str) -> str:
    """Return `text` as Markdown code, even if it contains backticks."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def literal(value: Any) -> str:
    """Return a JSON value on one line. Unlike in Python, 1 and True differ."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def listed(values: Any) -> str:
    """Return values as Markdown code, strings without quotes."""
    return ", ".join(code(v if isinstance(v, str) else literal(v)) for v in values)
