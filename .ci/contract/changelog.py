"""Writes changes as Markdown, for those who use the API."""

from collections.abc import Iterator
from itertools import groupby

from changes import Change, Kind, listed
from report import Group, grouped


def markdown(changes: list[Change], old_version: str, new_version: str) -> str:
    blocks = [f"# Changes of the contract from {old_version} to {new_version}"]
    if not changes:
        blocks.append("Nothing has changed.")
    for kind in Kind:
        groups = grouped(changes, kind)
        blocks += [f"## {kind}"] if groups else []
        for (schema, *operations), members in groupby(groups, key=lambda group: group.about):
            blocks += headings(schema, operations)
            blocks.append("\n".join(map(sentence, members)))
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


def sentence(group: Group) -> str:
    return f"- {group.sentence[0].upper()}{group.sentence[1:]}."
