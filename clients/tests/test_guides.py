"""The guides tell the truth: their programs run, and print what they show."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from clients.tests.places import BIN, ROOT
from clients.tests.running import run, run_typescript
from tests.servers import free_port

END = "== end of a block =="


def blocks(guide: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of code."""
    text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_clients_guide_has_python_that_runs(environment: dict[str, str], tmp_path: Path) -> None:
    (program,) = [text for kind, text in blocks("guide/clients.md") if kind == "python"]

    run(sys.executable, "-c", program, cwd=tmp_path, environment=environment)


def test_clients_guide_has_typescript_that_runs(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (program,) = [text for kind, text in blocks("guide/clients.md") if kind == "ts"]
    script = tmp_path / "guide.ts"
    script.write_text(program)

    run_typescript(tmp_path, script, environment)


def test_clients_guide_names_the_packages_that_are_built() -> None:
    text = (ROOT / "docs" / "guide" / "clients.md").read_text(encoding="utf-8")

    built = {path.name for path in (ROOT / "build").glob("agent[-_]api[-_]client*")}
    assert set(re.findall(r"install build/(\S+)", text)) == built


@pytest.mark.timeout(600)  # Schemathesis tests every operation
def test_contract_testing_guide_prints_what_it_shows(
    environment: dict[str, str], tmp_path: Path
) -> None:
    found = blocks("contract-testing.md")
    shutil.copy(ROOT / "openapi" / "schemathesis.toml", tmp_path)
    script = "set -e\ntrap 'kill $(jobs -p)' EXIT\n"
    for kind, text in found:
        if kind == "sh":
            script += f"{text}\necho; echo '{END}'\n"
        elif kind == "python":
            script += f"{sys.executable} - <<'PYTHON'\n{text}\nPYTHON\necho '{END}'\n"

    printed = run(
        *("bash", "-c", script.replace("4010", str(free_port()))),
        cwd=tmp_path,
        environment=environment | {"PATH": f"{BIN}:{environment['PATH']}"},
    )

    outputs = iter(printed.split(END))
    said = ""
    for kind, text in found:
        if kind == "json":
            assert json.loads(said) == json.loads(text)
            continue
        said = next(outputs)
        if "schemathesis run" in text:
            assert re.search(r"Tested: *\d+", said), said
            assert "No issues found" in said, said
