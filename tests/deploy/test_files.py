"""The files in deploy/ agree with the server and with each other."""

import re
import subprocess
import sys
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from agent_api.settings import PREFIX, Settings
from tests.contract import CONTRACT
from tests.programs import installed

DEPLOY = Path(__file__).parents[2] / "deploy"
EXAMPLE = (DEPLOY / ".env.example").read_text("utf-8")


def test_env_example_has_usable_settings_with_a_comment_each() -> None:
    lines = EXAMPLE.splitlines()
    found = {}
    for before, line in pairwise(lines):
        if match := re.fullmatch(r"#?([A-Z_]+)=(.*)", line):
            found[match[1]] = match[2]
            assert re.match(r"# .+\.", before), f"{line} has no comment above it"
    assert found.pop("DATABASE_PASSWORD") == ""
    assert set(found) <= {PREFIX + field.name.upper() for field in fields(Settings)}

    Settings.load(found)


def test_seconds_to_stop_are_ten_more_than_the_default_of_the_server() -> None:
    seconds = Settings().grace_seconds + 10

    unit = (DEPLOY / "systemd/agent-api.service").read_text()
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert f"\nTimeoutStopSec={seconds}\n" in unit
    assert compose["services"]["api"]["stop_grace_period"] == f"{seconds}s"
    assert f"\n#AGENT_API_GRACE_SECONDS={seconds - 10}\n" in EXAMPLE


def test_tag_of_the_image_is_the_version() -> None:
    tag = f"agent-api:{CONTRACT['info']['version']}"

    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert compose["services"]["api"]["image"] == tag
    assert f" -t {tag} " in (DEPLOY / "Dockerfile").read_text()


@pytest.mark.process
@pytest.mark.parametrize(("name", "exposure"), [("agent-api", 1.5), ("agent-api-migrate", 4.5)])
def test_systemd_accepts_the_unit_and_finds_little_exposure(
    name: str, exposure: float, tmp_path: Path
) -> None:
    """A unit without any hardening has an exposure of 9.6."""
    program = installed("systemd-analyze", "apt-get install systemd")
    unit = (DEPLOY / f"systemd/{name}.service").read_text()
    there = str(Path(sys.executable).parent)
    copy = tmp_path / f"{name}.service"
    copy.write_text(unit.replace("/opt/agent-api/bin", there))  # verify looks for the program

    verified = analyze(program, "verify", str(copy))
    rated = analyze(
        program, "security", "--offline=true", f"--threshold={exposure * 10:.0f}", str(copy)
    )

    assert (verified.returncode, verified.stderr) == (0, "")
    assert rated.returncode == 0, rated.stdout


def analyze(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, "--no-pager", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
