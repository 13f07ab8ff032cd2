"""Finds and loads the contract."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml


class ContractError(Exception):
    """The contract is wrong or does not match the handlers. The server cannot start."""


def contract_path() -> Path:
    """Return the path of agent-api.yaml: inside an installed wheel, or in openapi/."""
    packaged = Path(str(files("agent_api"))) / "openapi" / "agent-api.yaml"
    if packaged.exists():
        return packaged
    return Path(__file__).resolve().parents[2] / "openapi" / "agent-api.yaml"


@cache  # parsing takes longer than all other work on the contract, and a start needs it three times
def load_contract() -> dict[str, Any]:
    """Return the content of the contract, which callers must not change.

    Pass this to Connexion instead of the path: Connexion renders files with Jinja2, which removes
    every {{name}} from examples.
    """
    # The C loader is ten times as fast. Builds without libyaml do not have it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    contract: dict[str, Any] = yaml.load(contract_path().read_bytes(), Loader=loader)  # noqa: S506  # both are safe
    return contract
