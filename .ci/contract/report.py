"""Groups changes, and writes them as lines for the terminal or as Markdown."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from changes import Change, Kind, listed

SHORT = 3
"""How many operations a line names; the others are counted."""


@dataclass
class Group:
    """One change and all operations that it affects."""

    change: Change
    operations: list[str] = field(default_factory=list)

    @property
    def subject(self) -> tuple[str, ...]:
        return (self.change.schema, *self.operations)

    @property
    def sentence(self) -> str:
        return f"{self.change.where} {self.change.words}"


def grouped(changes: list[Change], kind: Kind) -> list[Group]:
    """Return each change of a kind once; changes with the same subject are next to each other."""
    found: dict[tuple[str, str, str], Group] = {}
    for change in changes:
        if change.kind is kind:
            key = (change.schema, change.where, change.words)
            group = found.setdefault(key, Group(change))
            group.operations += [change.operation] if change.operation else []
    order = list(dict.fromkeys(group.subject for group in found.values()))
    return sorted(found.values(), key=lambda group: order.index(group.subject))


def lines(changes: list[Change]) -> Iterator[str]:
    for kind in Kind:
        groups = grouped(changes, kind)
        if groups and kind is Kind.WORDING:  # the changelog has the details
            yield f"{kind}: in {len(groups)} places" if len(groups) > 1 else f"{kind}: in 1 place"
            continue
        if groups:
            yield f"{kind}:"
        for group in groups:
            yield f"  {subject(group)}: {group.sentence}".replace("`", "")


def subject(group: Group) -> str:
    names = ", ".join(group.operations[:SHORT])
    more = len(group.operations) - SHORT
    operations = f"{names} and {more} more" if more > 0 else names
    schema = group.change.schema
    return f"{schema} ({operations})" if schema else operations or "The contract"


def markdown(changes: list[Change], old_version: str, new_version: str) -> str:
    """Return the changelog for users of the API."""
    blocks = [f"# Changes of the contract from {old_version} to {new_version}"]
    if not changes:
        blocks.append("Nothing has changed.")
    for kind in Kind:
        groups = grouped(changes, kind)
        blocks += [f"## {kind}"] if groups else []
        for (schema, *operations), members in groupby(groups, key=lambda group: group.subject):
            blocks += headings(schema, operations)
            blocks.append("\n".join(f"- {capitalized(group.sentence)}." for group in members))
    return "\n\n".join(blocks) + "\n"


def headings(schema: str, operations: list[str]) -> Iterator[str]:
    if schema:
        yield f"### {schema}"
    elif operations:
        yield f"### {listed(operations) if len(operations) == 1 else 'Several operations'}"
    else:
        yield "### The contract"
    if schema or len(operations) > 1:
        yield f"In {listed(operations)}:"


def capitalized(text: str) -> str:
    return text[0].upper() + text[1:]
