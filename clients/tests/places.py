"""Where things are, and what the contract leaves open."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NODE = str(BIN / "node")
"""The one that the requirements bring along."""

FREE = {"output", "error", "input", "data"}
"""The properties that the contract describes as any JSON value."""

MIXED = {"alternatives", "selected_agents"}
"""The properties that are lists of texts and objects: generators read them as lists of anything."""
