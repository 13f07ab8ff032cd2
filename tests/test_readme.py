"""Commands of README and of guides print what they show, and names in the documents exist."""

import base64
import difflib
import json
import re
import shlex
import subprocess
import sys
import uuid
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.servers import SECRET, Server, clean_environment, command, start_server

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "examples").iterdir())
GUIDES = ROOT / "docs" / "guide"
EXAMPLES_GUIDE = (GUIDES / "examples.md").read_text(encoding="utf-8")
USERS = ("alice", "bob")
"""The users of the pages. The tests use new ones."""
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CODE = "\n".join(
    code
    for document in DOCUMENTS
    for code in re.findall(
        r"^```.*?^```|^ {4}.+?$|`[^`]+`", document.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
)
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
END = "== end of a command =="

# Replaces curl, which is not installed everywhere.
CURL = """
import argparse, httpx
parser = argparse.ArgumentParser("curl", allow_abbrev=False)
parser.add_argument("-s", "-S", "-N", action="store_true")
parser.add_argument("-G", action="store_true")
parser.add_argument("-H", action="append", default=[])
parser.add_argument("-d", "--data-urlencode", dest="d", action="append", default=[])
for name in ("-X", "url"):
    parser.add_argument(name)
given = parser.parse_args()
body = None if given.G or not given.d else "&".join(given.d)
headers = httpx.Headers({"Content-Type": "application/x-www-form-urlencoded"} if body else {})
headers.update(header.split(": ", 1) for header in given.H)
method = given.X or ("POST" if body else "GET")
more = {"content": body, "timeout": 60, "verify": False}
if given.G:
    more["params"] = [part.split("=", 1) for part in given.d]
print(httpx.request(method, given.url, headers=headers, **more).text)
"""
SHELL = f"""
exec 2>&1
curl() {{ {shlex.join([sys.executable, "-c", CURL])} "$@"; }}
"""


def rows(text: str, names: dict[str, str]) -> list[str]:
    """Return JSON in lines, with decoded cursors and numbered ids and times."""
    try:
        value = json.loads(text, object_hook=with_readable_cursor)
    except ValueError:
        return [text]  # an error message of the shell
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    for found in re.findall(f"{UUID}|{TIME}", text):
        text = text.replace(found, names.setdefault(found, f"<id or time {len(names) + 1}>"))
    return text.splitlines()


def with_readable_cursor(value: dict[str, Any]) -> dict[str, Any]:
    if cursor := value.get("next_cursor"):
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        value["next_cursor"] = f"the cursor of {key}"
    return value


def shown_part(printed: str, shown: str) -> str:
    """Return printed JSON without the properties that the document leaves out."""

    def part(value: Any, example: Any) -> Any:
        if isinstance(value, dict) and isinstance(example, dict):
            return {name: part(value[name], example[name]) for name in example if name in value}
        if isinstance(value, list) and isinstance(example, list) and len(value) == len(example):
            return [part(*pair) for pair in zip(value, example, strict=True)]
        return value

    try:
        return json.dumps(part(json.loads(printed), json.loads(shown)))
    except ValueError:
        return printed


def test_readme_tour_prints_what_it_shows(database_url: str, tmp_path: Path) -> None:
    tour = README.partition("\n## A tour\n")[2].partition("\n## ")[0]

    with start_server(database_url, tmp_path, "--echo") as server:  # like make serve
        check_commands(server, tour)


@pytest.mark.parametrize(
    "name",
    ["attachments", "branches", "editing", "feedback", "links", "organising", "search", "sharing"],
)
def test_guide_prints_what_it_shows(server: Server, name: str) -> None:
    check_commands(server, (GUIDES / f"{name}.md").read_text("utf-8"))


def check_commands(server: Server, page: str) -> None:
    """Execute the commands of a page as new users, and compare what they print with the page."""
    blocks = re.findall(r"^```(sh|json|text)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    # Commands print what the next block shows, or nothing if more commands follow.
    steps = [
        (text, "" if next_kind == "sh" else shown)
        for (kind, text), (next_kind, shown) in pairwise([*blocks, ("sh", "")])
        if kind == "sh"
    ]
    assert steps
    suffix = uuid.uuid4().hex
    script = SHELL
    for commands, _ in steps:
        real = commands.replace("http://127.0.0.1:8000", server.url)
        for user in USERS:
            real = re.sub(rf"\b{user}\b", f"{user}-{suffix}", real)
        real = real.replace(".venv/bin/agent-api", shlex.join(command()))
        script += f"{real}\necho {shlex.quote(END)}\n"

    env = clean_environment(jwt_secret=SECRET)
    printed = subprocess.check_output(["bash", "-c", script], cwd=ROOT, env=env, encoding="utf-8")

    outputs = printed.replace(f"-{suffix}", "").split(END)
    assert len(outputs) == len(steps) + 1, printed
    shown_names, printed_names = dict[str, str](), dict[str, str]()
    for (commands, shown), said in zip(steps, outputs, strict=False):
        before = [row for text in shown.splitlines() for row in rows(text, shown_names)]
        lines = [text for text in said.split("\n") if text]
        if len(lines) == len(shown.splitlines()):
            lines = list(map(shown_part, lines, shown.splitlines()))
        after = [row for text in lines for row in rows(text, printed_names)]
        if before != after:
            diff = difflib.unified_diff(before, after, "page", "printed", lineterm="")
            report = [f"The page does not show what these commands print:\n\n{commands}"]
            pytest.fail("\n".join([*report, *diff, "", "They printed:", said]), pytrace=False)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_short_and_shown_in_the_guide(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= (40 if path.name == "worker.py" else 30)
    assert text in EXAMPLES_GUIDE


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_to_files_and_headings(document: Path) -> None:
    links = re.findall(r"\]\((?![a-z]+:)([^)\s]+)", document.read_text(encoding="utf-8"))

    for link in links:
        path, _, heading = link.partition("#")
        target = document.parent / path if path else document
        assert target.is_file(), f"{link}: no such file"
        assert not heading or heading in headings(target), f"{link}: no such heading"


def headings(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_paths_that_documents_name_exist() -> None:
    folders = "agent_api|benchmarks|clients|db|docs|examples|handlers|migrations|openapi|tests"
    named = set(re.findall(rf"`((?:{folders}|\.ci)/[\w./-]*)", CODE))

    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_make_has_the_targets_that_documents_name() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    several = " ".join(re.findall(r"`make ([a-z -]+)", CODE))
    named = {*re.findall(r"\bmake ([a-z][a-z-]*)", CODE), *several.split()}

    assert set() < named <= set(targets)


def test_agent_api_has_the_commands_that_documents_name() -> None:
    listed = subprocess.check_output(command("--help"), env=clean_environment(), text=True)
    commands = re.findall(r"^  (\w+) ", listed.partition("\nCommands:\n")[2], re.MULTILINE)
    named = set(re.findall(r"\bagent-api ([a-z]\w*)", CODE))

    assert set() < named <= set(commands)
