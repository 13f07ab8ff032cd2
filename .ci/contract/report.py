"""Groups changes for people, and prints them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from changes import Change, Kind

SHORT = 3
"""How many operations a line names; the others it counts."""


@dataclass
class Group:
    """One change, and all operations that it is in."""

    change: Change
    operations: list[str] = field(default_factory=list)

    @property
    def about(self) -> tuple[str, ...]:
        return (self.change.schema, *self.operations)

    @property
    def sentence(self) -> str:
        return f"{self.change.where} {self.change.words}"


def grouped(changes: list[Change], kind: Kind) -> list[Group]:
    """Return the changes of a kind, each once, in the order of what they are about."""
    found: dict[tuple[str, str, str], Group] = {}
    for change in changes:
        if change.kind is kind:
            key = (change.schema, change.where, change.words)
            group = found.setdefault(key, Group(change))
            group.operations += [change.operation] if change.operation else []
    order = list(dict.fromkeys(group.about for group in found.values()))
    return sorted(found.values(), key=lambda group: order.index(group.about))


def lines(changes: list[Change]) -> Iterator[str]:
    for kind in Kind:
        groups = grouped(changes, kind)
        if groups and kind is Kind.WORDING:  # the changelog says where
            yield f"{kind}: in {len(groups)} places" if len(groups) > 1 else f"{kind}: in 1 place"
            continue
        if groups:
            yield f"{kind}:"
        for group in groups:
            yield f"  {subject(group)}: {group.sentence}".replace("`", "")


def subject(group: Group) -> str:
    names = ", ".join(group.operations[:SHORT])
    more = len(group.operations) - SHORT
    together = f"{names} and {more} more" if more > 0 else names
    schema = group.change.schema
    return f"{schema} ({together})" if schema else together or "The contract"
