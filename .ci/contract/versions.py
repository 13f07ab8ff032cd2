"""Says which version a contract needs after its changes (semver.org)."""

import re
from collections.abc import Iterable

from changes import Change, Kind

LEVELS = {Kind.BREAKING: 1, Kind.ADDITION: 2, Kind.WORDING: 3}
"""How many leading numbers of the version have to be higher together."""

REASONS = {
    Kind.BREAKING: "This breaks clients. Add beside what is there instead, or raise the major",
    Kind.ADDITION: "Something was added or allowed",
    Kind.WORDING: "The wording changed",
}


def fault(old: str, new: str, changes: Iterable[Change]) -> str:
    """Return what is wrong with the new version, and what to do; nothing where it is right."""
    before, now = numbers(old), numbers(new)
    for version, parsed in ((old, before), (new, now)):
        if not parsed:
            return f"info.version is {version}: write it as three numbers, like 1.2.3."
    if now < before:
        return f"info.version went back from {old} to {new}: it has to be at least {old}."
    kinds = {change.kind for change in changes}
    for kind, level in LEVELS.items():
        if kind in kinds and now[:level] <= before[:level]:
            least = [*before[: level - 1], before[level - 1] + 1, 0, 0][:3]
            wanted = ".".join(map(str, least))
            return f"{REASONS[kind]}: info.version is {new}, and has to be at least {wanted}."
    return ""


def numbers(version: str) -> tuple[int, ...]:
    """Return the three numbers of a version, or nothing where it has other parts."""
    match = re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", version, re.ASCII)
    return tuple(int(number) for number in match.groups()) if match else ()
