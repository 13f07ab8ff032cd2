"""The secret that agent-api creates in its data folder when no key is configured."""

import stat
import subprocess
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.servers import agent_api, clean_environment, command

pytestmark = pytest.mark.process


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A folder that does not exist yet."""
    return tmp_path / "made" / "on" / "demand"


def read_secret(data_dir: Path) -> str:
    (path,) = data_dir.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_text().strip()


def user_of(result: subprocess.CompletedProcess[str], secret: str) -> Any:
    assert result.returncode == 0, result.stderr
    return jwt.decode(result.stdout.strip(), secret, algorithms=["HS256"])["sub"]


def test_development_secret_is_created_once_and_private(data_dir: Path) -> None:
    first = agent_api("token", "--user", "maria", data_dir=str(data_dir))
    secret = read_secret(data_dir)
    second = agent_api("token", "--user", "maria", data_dir=str(data_dir))

    assert len(secret) == 64
    assert read_secret(data_dir) == secret
    assert user_of(first, secret) == user_of(second, secret) == "maria"


def test_commands_started_together_share_one_development_secret(data_dir: Path) -> None:
    processes = [
        subprocess.Popen(
            command("token", "--user", "maria"),
            env=clean_environment(data_dir=str(data_dir)),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    tokens = [process.communicate()[0].strip() for process in processes]

    secret = read_secret(data_dir)
    assert [jwt.decode(t, secret, algorithms=["HS256"])["sub"] for t in tokens] == ["maria"] * 3


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_development_secret_that_others_can_read_is_refused(data_dir: Path, mode: int) -> None:
    data_dir.mkdir(parents=True)
    path = data_dir / "jwt-secret"
    path.write_text("0" * 64)
    path.chmod(mode)

    result = agent_api("token", "--user", "maria", data_dir=str(data_dir))

    assert result.returncode == 2
    assert result.stderr == f"agent-api: Other users can read {path}: run chmod 600 {path}\n"


def test_empty_development_secret_is_refused(data_dir: Path) -> None:
    data_dir.mkdir(parents=True)
    path = data_dir / "jwt-secret"
    path.touch(0o600)

    result = agent_api("token", "--user", "maria", data_dir=str(data_dir))

    assert result.returncode == 2
    said = f"agent-api: {path} does not contain a secret: remove it to create a new one\n"
    assert result.stderr == said
