"""The kinds of change, and the version that each asks for."""

from pathlib import Path
from typing import Any

from tests.contract_changes.edits import Edit, edited
from tests.contract_changes.running import Program, Run, write

BREAKING, ADDED, WORDING, NOTHING = "2.0.0", "1.1.0", "1.0.1", "1.0.0"
"""A kind of change is told by the version that it asks for after 1.0.0."""
TOO_LOW = {BREAKING: "1.9.9", ADDED: "1.0.9", WORDING: "1.0.0"}
"""The highest version, or nearly, that is still too low for it."""


def compare(program: Program, folder: Path, old: Any, new: Any, version: str = NOTHING) -> Run:
    new["info"]["version"] = version
    return program(write(folder, "old.json", old), write(folder, "new.json", new))


def asks_for(program: Program, folder: Path, base: dict[str, Any], edit: Edit, kind: str) -> None:
    """Assert that `edit` asks for the version `kind`, no lower and no higher."""
    new = edited(base, edit)
    if kind == NOTHING:
        done = compare(program, folder, base, new)
        assert (done.code, done.out.splitlines()[0]) == (0, "Nothing has changed."), done
        return
    refused = compare(program, folder, base, new, TOO_LOW[kind])
    assert refused.code == 1, refused
    assert f"has to be at least {kind}." in refused.out, refused.out
    accepted = compare(program, folder, base, new, kind)
    assert accepted.code == 0, accepted
