"""docs/contract-testing.md tells the truth: its commands run, and print what it shows."""

import json
import re
import subprocess
import sys
from pathlib import Path

from clients.tests.places import BIN, ROOT
from tests.servers import clean_environment, free_port

GUIDE = (ROOT / "docs" / "contract-testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
END = "== end of a block =="


def test_commands_print_what_the_guide_shows(tmp_path: Path) -> None:
    port = str(free_port())
    script = "set -e\ntrap 'kill $(jobs -p)' EXIT\n"
    for kind, text in BLOCKS:
        if kind == "sh":
            script += f"{text}\necho; echo '{END}'\n"
        elif kind == "python":
            script += f"{sys.executable} - <<'PYTHON'\n{text}\nPYTHON\necho '{END}'\n"
    path = f"{BIN}:{clean_environment()['PATH']}"
    run = subprocess.run(
        ["bash", "-c", script.replace("4010", port)],
        cwd=tmp_path,
        env=clean_environment() | {"PATH": path, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    printed = iter(run.stdout.split(END))
    said = ""
    for kind, text in BLOCKS:
        if kind == "json":
            assert json.loads(said) == json.loads(text)
        else:
            said = next(printed)
            if "schemathesis run" in text:
                assert re.search(r"Tested: *16", said), said
                assert "No issues found" in said, said
