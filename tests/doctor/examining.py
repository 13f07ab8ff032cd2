"""Runs `agent-api doctor`, and finds what it says."""

import json
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2

from tests.commands import Result
from tests.servers import clean_environment, command

SECONDS = 40
"""Longer than the command may take."""
ABOUT_DATABASE = {
    *("database", "database-encoding", "database-durability", "database-time-zone", "pooler"),
    *("database-connections", "database-timeouts", "clock", "roles", "migrations", "rights"),
    "search",
}
"""Names of the findings about a database that is as it should be."""


@dataclass(frozen=True)
class Report:
    """What `agent-api doctor --json` printed."""

    code: int
    findings: list[dict[str, Any]]
    seconds: float

    def __getitem__(self, name: str) -> dict[str, Any]:
        """Return the most important finding of this name."""
        levels = ("error", "warning", "ok")
        named = [each for each in self.findings if each["name"] == name]
        assert named, f"no finding {name} in {self.findings}"
        return min(named, key=lambda each: levels.index(each["level"]))

    @property
    def names(self) -> set[str]:
        return {each["name"] for each in self.findings}

    def named(self, level: str) -> set[str]:
        """Return the names of the findings with this level."""
        return {each["name"] for each in self.findings if each["level"] == level}


def run(
    *arguments: str,
    prefix: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    **settings: str,
) -> Result:
    """Run the command with these settings only. Its output must not contain a password."""
    result = subprocess.run(
        [*prefix, *command("doctor", *arguments)],
        env=clean_environment(**settings) | (env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert "hunter2" not in result.stdout + result.stderr
    assert result.stderr == ""
    return result


def examine(
    *arguments: str,
    prefix: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    **settings: str,
) -> Report:
    """Run the command with `--json`, and return what it found."""
    started = time.monotonic()
    result = run("--json", *arguments, prefix=prefix, env=env, **settings)
    return parse(result, time.monotonic() - started)


def parse(result: Result, seconds: float = 0) -> Report:
    """Return what the command found. Its exit code must fit."""
    document = json.loads(result.stdout)
    findings = document["findings"]
    levels = {each["level"] for each in findings}
    assert document["level"] == next(each for each in ("error", "warning", "ok") if each in levels)
    assert result.returncode == (1 if "error" in levels else 0)
    return Report(result.returncode, findings, seconds)


def execute(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)
