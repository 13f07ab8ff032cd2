"""What a check found."""

from typing import Literal, NamedTuple

Level = Literal["ok", "warning", "error"]


class Finding(NamedTuple):
    """What a check found, and what to do about it."""

    name: str
    level: Level
    found: str
    advice: str | None = None


def ok(name: str, found: str) -> Finding:
    """Return a finding that needs nothing to be done."""
    return Finding(name, "ok", found)


def warning(name: str, found: str, advice: str) -> Finding:
    """Return a finding that may become a problem, or is one in production."""
    return Finding(name, "warning", found, advice)


def error(name: str, found: str, advice: str) -> Finding:
    """Return a finding because of which the server does not start or requests fail."""
    return Finding(name, "error", found, advice)


def count(number: int, noun: str) -> str:
    """Return `1 worker` or `2 workers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
