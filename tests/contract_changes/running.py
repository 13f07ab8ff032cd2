"""The program that checks, run over two files."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / ".ci" / "contract"


class Run(NamedTuple):
    code: int
    out: str
    err: str


def run(old: Path, new: Path, *options: str) -> Run:
    command = [sys.executable, "-I", str(PROGRAM), str(old), str(new), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def write(folder: Path, name: str, contract: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(contract), encoding="utf-8")  # JSON is YAML, and written faster
    return path


Program = Callable[[Path, Path], Run]
