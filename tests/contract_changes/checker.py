"""Calls the contract check: in this process, or as the command that `make contract` runs."""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.contract_changes.edits import Edit, edited

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / ".ci" / "contract"

sys.path.insert(0, str(PROGRAM))
command: Any = importlib.import_module("command")
comparison: Any = importlib.import_module("contract")
document: Any = importlib.import_module("document")
versions: Any = importlib.import_module("versions")
sys.path.remove(str(PROGRAM))

BREAKING, ADDED, WORDING, NOTHING = "2.0.0", "1.1.0", "1.0.1", "1.0.0"
"""The lowest version that each kind of change allows after 1.0.0."""
TOO_LOW = {BREAKING: "1.9.9", ADDED: "1.0.9", WORDING: "1.0.0"}


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[Any]:
    """Return the changes between two contracts."""
    found: list[Any] = comparison.compare(
        document.Document(old, "old"), document.Document(new, "new")
    )
    return found


def required_version(base: dict[str, Any], edit: Edit) -> str:
    """Return the lowest version that the check allows for `edit` after 1.0.0."""
    changes = compare(base, edited(base, edit))
    if not changes:
        return NOTHING
    (version,) = re.findall(r"at least (\S+)\.$", versions.error(NOTHING, NOTHING, changes))
    assert versions.error(NOTHING, TOO_LOW[version], changes).endswith(f"at least {version}.")
    assert versions.error(NOTHING, version, changes) == ""
    return str(version)


def wrong_versions(base: dict[str, Any], cases: list[tuple[str, Edit, str]]) -> list[str]:
    """Return the cases whose edit requires another version than expected."""
    found = [(name, kind, required_version(base, edit)) for name, edit, kind in cases]
    return [f"{name}: {version}, not {kind}" for name, kind, version in found if version != kind]


def run(old: Path, new: Path) -> subprocess.CompletedProcess[str]:
    """Run the check as a command."""
    arguments = [sys.executable, "-I", str(PROGRAM), str(old), str(new)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)
