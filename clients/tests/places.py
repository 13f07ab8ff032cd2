"""Where things are: the repository, and the programs that its requirements bring along."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NODE = str(BIN / "node")
