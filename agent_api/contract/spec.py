"""Where the contract lies, and its text and content."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml


class ContractError(Exception):
    """The contract and the handlers do not fit each other: the server must not start."""


def contract_path() -> Path:
    """Return the path of agent-api.yaml: in the package in a wheel, else in openapi/."""
    packaged = Path(str(files("agent_api"))) / "openapi" / "agent-api.yaml"
    if packaged.exists():
        return packaged
    return Path(__file__).resolve().parents[2] / "openapi" / "agent-api.yaml"


def load_contract() -> dict[str, Any]:
    """Return the contract as it stands in the file.

    Connexion is given this, not the path: it would render the file by Jinja2 first, and every
    {{name}} in an example would vanish.
    """
    # The C loader is ten times as fast; wheels for every platform have it, other builds may not.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    contract: dict[str, Any] = yaml.load(contract_path().read_bytes(), Loader=loader)  # noqa: S506
    return contract
