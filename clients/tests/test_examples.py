"""Each of examples/ tells the same story, run as its reader would run it."""

import shutil
import sys
from pathlib import Path

from clients.tests.places import ROOT
from clients.tests.running import run, run_typescript

EXAMPLES = ROOT / "examples"
PRINTED = """\
user
Which lease costs less?
assistant
Harbour Street.
A run that is succeeded cannot become running: it has ended.
"""


def test_curl(environment: dict[str, str], tmp_path: Path) -> None:
    assert shutil.which("curl"), "examples/story.sh needs curl: install it"

    assert run("sh", EXAMPLES / "story.sh", cwd=tmp_path, environment=environment) == PRINTED


def test_python(environment: dict[str, str], tmp_path: Path) -> None:
    script = EXAMPLES / "story.py"

    assert run(sys.executable, script, cwd=tmp_path, environment=environment) == PRINTED


def test_typescript(environment: dict[str, str], tmp_path: Path) -> None:
    assert run_typescript(tmp_path, EXAMPLES / "story.ts", environment) == PRINTED
