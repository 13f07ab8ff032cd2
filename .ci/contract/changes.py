"""What the check finds: a change, its place, and what it means for clients."""

import json
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any


class Kind(StrEnum):
    """What a change asks of the version: a major, a minor or a patch."""

    BREAKING = "Breaking"
    ADDITION = "Compatible"
    WORDING = "Changed wording"


class Direction(Enum):
    """Who writes a value, which says whether it may become narrower or wider."""

    INPUT = "in requests"
    OUTPUT = "in answers"
    EXACT = "in a oneOf or not"
    """Under oneOf and not a narrower schema can admit more, so neither is safe."""

    @property
    def narrower(self) -> Kind:
        return Kind.ADDITION if self is Direction.OUTPUT else Kind.BREAKING

    @property
    def wider(self) -> Kind:
        return Kind.ADDITION if self is Direction.INPUT else Kind.BREAKING

    @property
    def opened(self) -> Kind:
        """What a new optional property is: the other side ignores what it does not know."""
        return Kind.BREAKING if self is Direction.EXACT else Kind.ADDITION

    @property
    def verb(self) -> str:
        return "has" if self is Direction.OUTPUT else "takes"


@dataclass(frozen=True)
class Change:
    """One difference, in one operation; `words` go on from `where`."""

    operation: str  # POST /conversations; empty where it is the whole contract's
    schema: str  # the component schema that it is in; empty where it is the operation's own
    where: str
    words: str
    kind: Kind


@dataclass(frozen=True)
class Place:
    """A place that both documents have, where changes are found."""

    operation: str = ""
    part: str = ""  # of the operation: the request body
    schema: str = ""
    pointer: str = ""
    direction: Direction = Direction.EXACT

    def at(self, step: str) -> "Place":
        return replace(self, pointer=f"{self.pointer}/{step}".removeprefix("/"))

    def within(self, part: str, direction: Direction) -> "Place":
        return replace(self, part=part, direction=direction)

    def of(self, schema: str) -> "Place":
        """Return the place of a component schema itself, the same from wherever it is reached."""
        return replace(self, schema=schema, pointer="", part="")

    def exactly(self) -> "Place":
        return replace(self, direction=Direction.EXACT)

    def change(self, kind: Kind, words: str) -> Change:
        # Words are the same in both directions: said once.
        side = "" if kind is Kind.WORDING else f" {self.direction.value}"
        where = " of ".join(filter(None, [self.pointer and code(self.pointer), self.part]))
        schema = self.schema and f"{code(self.schema)}{side}"
        return Change(self.operation, schema, where or "it", words, kind)

    def breaking(self, words: str) -> Change:
        return self.change(Kind.BREAKING, words)

    def addition(self, words: str) -> Change:
        return self.change(Kind.ADDITION, words)


def code(text: str) -> str:
    """Return `text` as code in Markdown, whatever backticks it has."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def literal(value: Any) -> str:
    """Return a JSON value on one line: equal for equal values, unlike Python's 1 and True."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def listed(values: Any) -> str:
    """Return values as code, strings without their quotes."""
    return ", ".join(code(v if isinstance(v, str) else literal(v)) for v in values)
