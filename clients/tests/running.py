"""Runs programs as their readers would, in projects of their own."""

import shutil
import subprocess
from pathlib import Path

from clients.tests.places import BIN, NODE, ROOT

MODULES = ROOT / "clients" / "typescript" / "node_modules"
STRICTLY = ("--strict", "--noEmit", "--module", "nodenext", "--types", "node")


def run(*command: str | Path, cwd: Path, environment: dict[str, str]) -> str:
    """Run a program that must succeed, and return what it printed."""
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_typescript(folder: Path, script: Path, environment: dict[str, str]) -> str:
    """Run a script in a project that has the packed client, and return what it printed."""
    return run(*typescript(folder, script, environment), cwd=folder, environment=environment)


def typescript(
    folder: Path, script: Path, environment: dict[str, str], *packages: str
) -> list[str]:
    """Return the command that runs a script, whose types are strictly correct.

    `folder` becomes a project that has the packed client, and the named packages.
    """
    (packed,) = (ROOT / "build").glob("agent-api-client-*.tgz")
    (folder / "package.json").write_text('{"type": "module"}')
    path = {"PATH": f"{BIN}:{environment['PATH']}"}
    options = ("--offline", "--silent")
    run(BIN / "npm", "install", *options, packed, cwd=folder, environment=environment | path)
    for package in ("@types/node", *packages):
        link = folder / "node_modules" / package
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(MODULES / package)
    shutil.copy(script, folder / "script.ts")
    compiler = MODULES / "typescript" / "bin" / "tsc"
    run(NODE, compiler, *STRICTLY, "script.ts", cwd=folder, environment=environment)
    return [NODE, str(folder / "script.ts")]
