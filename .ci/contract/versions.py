"""Decides which version a contract needs after its changes (semver.org)."""

import re
from collections.abc import Iterable

from changes import Change, Kind

LEVELS = {Kind.BREAKING: 1, Kind.ADDITION: 2, Kind.WORDING: 3}
"""How many leading numbers of the version, read together, must increase."""

REASONS = {
    Kind.BREAKING: "This breaks clients. Add to what exists instead, or raise the major version",
    Kind.ADDITION: "Something was added or allowed",
    Kind.WORDING: "The wording changed",
}


def error(old: str, new: str, changes: Iterable[Change]) -> str:
    """Return what is wrong with the new version and which one is needed, or an empty string."""
    before, now = numbers(old), numbers(new)
    for version, parsed in ((old, before), (new, now)):
        if not parsed:
            return f"info.version is {version}: write it as three numbers, like 1.2.3."
    if now < before:
        return f"info.version went back from {old} to {new}: it must be at least {old}."
    kinds = {change.kind for change in changes}
    for kind, level in LEVELS.items():
        if kind in kinds and now[:level] <= before[:level]:
            least = [*before[: level - 1], before[level - 1] + 1, 0, 0][:3]
            needed = ".".join(map(str, least))
            return f"{REASONS[kind]}: info.version is {new}, and must be at least {needed}."
    return ""


def numbers(version: str) -> tuple[int, ...]:
    """Return the three numbers of a version, or an empty tuple if it has another form."""
    match = re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", version, re.ASCII)
    return tuple(int(number) for number in match.groups()) if match else ()
