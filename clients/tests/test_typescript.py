"""The generated TypeScript client: Node plays its story, and its types are as exact as can be."""

import re
import subprocess

from clients.tests.places import FREE, MIXED, NODE, ROOT

CLIENT = ROOT / "clients" / "typescript"


def test_story(environment: dict[str, str]) -> None:
    run = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", "test/*.test.ts"],
        cwd=CLIENT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("\nok ") > 20, run.stdout


def test_types_know_what_the_contract_knows() -> None:
    text = (CLIENT / "src" / "types.gen.ts").read_text(encoding="utf-8")
    types = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)

    assert not re.search(r"\bany\b", types)
    unknown = set(re.findall(r"^ *(\w+|\[.*?\])\??: .*\bunknown\b.*;", types, re.MULTILINE))
    assert unknown == FREE | MIXED | {"[key: string]"}
