"""The program in one process, and its modules on our own contract."""

import copy
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract_changes.edits import at
from tests.contract_changes.ours import CONTRACT, DROPPED, Breaks
from tests.contract_changes.running import PROGRAM, Program, Run

LOOP = """
import contextlib, io, json, runpy, sys
for line in sys.stdin:
    sys.argv = json.loads(line)
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """Run the program as `run` does, but in one process: to start six hundred takes a minute."""
    command = [sys.executable, "-I", "-c", LOOP]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def once(old: Path, new: Path) -> Run:
            print(json.dumps([str(PROGRAM), str(old), str(new)]), file=stdin, flush=True)
            return Run(*json.loads(stdout.readline()))

        yield once
        stdin.close()


@pytest.fixture(scope="module")
def breaks() -> Iterator[Breaks]:
    """Tell whether another value at a path of our contract breaks clients; DROPPED removes it.

    This calls the program's modules: files of our contract, written and read hundreds of times,
    would take a minute.
    """
    sys.path.insert(0, str(PROGRAM))
    before = set(sys.modules)
    document, contract = (importlib.import_module(name) for name in ("document", "contract"))
    contents = copy.deepcopy(CONTRACT)
    old = document.Document(copy.deepcopy(CONTRACT), "old")

    def tell(path: str, value: Any) -> bool:
        above, _, key = path.rpartition(" ")
        parent = at(contents, above)
        kept = dict(parent)
        if value is DROPPED:
            del parent[key]
        else:
            parent[key] = value
        changes = contract.compare(old, document.Document(contents, "new"))
        parent.clear()
        parent.update(kept)
        return any(change.kind == "Breaking" for change in changes)

    yield tell
    sys.path.remove(str(PROGRAM))
    for name in set(sys.modules) - before:
        if str(PROGRAM) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
