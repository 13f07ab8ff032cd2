"""Generators in common use make clients that compile strictly and work with the live server."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from clients.tests.places import BIN, ROOT
from clients.tests.running import run

PROGRAMS = ROOT / "clients" / "generators"
MODULES = PROGRAMS / "node_modules"
PRINTED = "3 routing decisions, 1 run\n"
OPENAPI_GENERATOR = "openapi-generator-cli generate -i agent-api.yaml -g"

TYPESCRIPT = {
    "oazapfts": "oazapfts --allSchemas agent-api.yaml client.ts",
    "openapi-typescript": "openapi-typescript agent-api.yaml -o client.ts",
    "orval": "orval --config orval.config.mjs",
    "swagger-typescript-api": (
        "swagger-typescript-api generate --enum-style=union -p agent-api.yaml -o . -n client.ts"
    ),
    "typescript-axios": (
        f"{OPENAPI_GENERATOR} typescript-axios -o client -p importFileExtension=.js"
    ),
    "typescript-fetch": (
        f"{OPENAPI_GENERATOR} typescript-fetch -o client"
        " -p importFileExtension=.js,modelPropertyNaming=original,paramNaming=original"
    ),
}
PYTHON = {
    "datamodel_code_generator": (
        "datamodel-codegen --strict-nullable --use-annotated --enum-field-as-literal all"
        " --collapse-root-models --formatters builtin --input agent-api.yaml --output client.py"
    ),
    "openapi_python": f"{OPENAPI_GENERATOR} python -o .",
}
GO = f"{OPENAPI_GENERATOR} go -o agentapi -p packageName=agentapi,withGoMod=false"
COMPILE = (
    "tsc --strict --skipLibCheck --target es2022 --lib es2022,dom,dom.iterable --module nodenext"
    " --types node --outDir dist story.ts"
)


def make_project(folder: Path, program: Path, command: str, environment: dict[str, str]) -> None:
    """Put the program and the generated client into `folder`."""
    shutil.copy(ROOT / "openapi" / "agent-api.yaml", folder)
    shutil.copy(PROGRAMS / "orval.config.mjs", folder)
    shutil.copy(program, folder / f"story{program.suffix}")
    run(*command.split(), cwd=folder, environment=environment)


@pytest.fixture
def tools(environment: dict[str, str]) -> dict[str, str]:
    """The environment, with the generators and compilers on PATH."""
    path = f"{MODULES / '.bin'}:{BIN}:{environment['PATH']}"
    # The JVM runs for seconds, in which its best compiler costs more than it saves.
    return environment | {"PATH": path, "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}


def test_guide_has_the_versions_that_are_tested() -> None:
    text = (ROOT / "docs" / "guide" / "clients.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([\w-]+).*? \| ([\d.]+) \| in CI", text, re.MULTILINE)

    text = (ROOT / "requirements" / "generators.txt").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))
    versions["openapi-generator"] = versions["openapi-generator-cli"]
    lock = json.loads((PROGRAMS / "package-lock.json").read_text(encoding="utf-8"))
    versions |= lock["packages"][""]["devDependencies"]
    assert len(listed) == len(TYPESCRIPT) + len(PYTHON) + 1
    assert listed == [(name, versions[name]) for name, _ in listed]


@pytest.mark.parametrize("generator", TYPESCRIPT)
def test_generated_typescript(generator: str, tools: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    make_project(tmp_path, PROGRAMS / f"{generator}.ts", TYPESCRIPT[generator], tools)
    run(*COMPILE.split(), cwd=tmp_path, environment=tools)

    assert run("node", "dist/story.js", cwd=tmp_path, environment=tools) == PRINTED


@pytest.mark.parametrize("generator", PYTHON)
def test_generated_python(generator: str, tools: dict[str, str], tmp_path: Path) -> None:
    make_project(tmp_path, PROGRAMS / f"{generator}.py", PYTHON[generator], tools)
    # The generated code itself need not be strict, like that of any installed package.
    run("mypy", "--strict", "--follow-imports=silent", "story.py", cwd=tmp_path, environment=tools)

    assert run(sys.executable, "story.py", cwd=tmp_path, environment=tools) == PRINTED


@pytest.mark.timeout(600)  # Go compiles its standard library first
def test_generated_go(tools: dict[str, str], tmp_path: Path) -> None:
    make_project(tmp_path, PROGRAMS / "go.go", GO, tools)
    shutil.rmtree(tmp_path / "agentapi" / "test", ignore_errors=True)  # needs another module
    (tmp_path / "go.mod").write_text("module story\n\ngo 1.23\n")
    cache = {"GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}

    printed = run("go", "run", ".", cwd=tmp_path, environment=tools | cache | {"GOPROXY": "off"})

    assert printed == PRINTED
