"""Each of examples/ tells the same story, run as its reader would run it."""

import shutil
import subprocess
import sys
from pathlib import Path

from clients.tests.places import NODE, ROOT

EXAMPLES = ROOT / "examples"
MODULES = ROOT / "clients" / "typescript" / "node_modules"
PRINTED = """\
user
Which lease costs less?
assistant
Harbour Street.
A run that is succeeded cannot become running: it has ended.
"""


def run(*command: str | Path, cwd: Path, environment: dict[str, str]) -> str:
    """Run a program that must succeed, and return what it printed."""
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl(environment: dict[str, str], tmp_path: Path) -> None:
    assert shutil.which("curl"), "examples/story.sh needs curl: install it"

    assert run("sh", EXAMPLES / "story.sh", cwd=tmp_path, environment=environment) == PRINTED


def test_python(environment: dict[str, str], tmp_path: Path) -> None:
    script = EXAMPLES / "story.py"

    assert run(sys.executable, script, cwd=tmp_path, environment=environment) == PRINTED


def test_typescript(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "node_modules" / "@types").mkdir(parents=True)
    (tmp_path / "node_modules" / "agent-api-client").symlink_to(MODULES.parent)
    (tmp_path / "node_modules" / "@types" / "node").symlink_to(MODULES / "@types" / "node")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(EXAMPLES / "story.ts", tmp_path)

    strictly = ["--strict", "--noEmit", "--module", "nodenext", "--types", "node", "story.ts"]
    run(NODE, MODULES / "typescript/bin/tsc", *strictly, cwd=tmp_path, environment=environment)
    assert run(NODE, "story.ts", cwd=tmp_path, environment=environment) == PRINTED
