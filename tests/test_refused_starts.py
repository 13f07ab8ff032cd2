"""How the server refuses settings that it cannot use, and which folder it uses by default."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import (
    SECRET,
    agent_api,
    clean_environment,
    free_port,
    start_server,
)
from tests.test_config import ROOT


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ("AGENT_API_PORT must be a whole number", {"port": "http"}),
        *(
            pytest.param(*case, marks=pytest.mark.slow)  # the same way, by another refusal
            for case in (
                ("Unknown setting AGENT_API_COLOUR", {"colour": "blue"}),
                ("AGENT_API_LOG_LEVEL is empty", {"log_level": ""}),
                ("exclude each other", {"jwt_secret": SECRET, "jwt_public_key_file": __file__}),
                ("AGENT_API_HOST 0.0.0.0 is open to other machines", {"host": "0.0.0.0"}),
                ("AGENT_API_ROOT_PATH must be a path such as /api,", {"root_path": "api"}),
                ("AGENT_API_TRUSTED_PROXIES must be addresses", {"trusted_proxies": "proxy"}),
            )
        ),
        (
            f"AGENT_API_JWT_PUBLIC_KEY_FILE {__file__} must be a PEM public key",
            {"jwt_public_key_file": __file__},
        ),
        (
            "Cannot listen on no-such-host.invalid",
            {"host": "no-such-host.invalid", "jwt_secret": SECRET},
        ),
        pytest.param(
            *("Cannot listen on x", {"host": "x" * 70, "jwt_secret": SECRET}),
            marks=pytest.mark.slow,
        ),
        ("AGENT_API_DATA_DIR", {"data_dir": "/dev/null/data"}),
        (r"/dev/null/\\udcff/jwt-secret", {"data_dir": "/dev/null/\udcff"}),  # not UTF-8
        (
            "AGENT_API_ROOT_PATH /docs/api collides",
            {"root_path": "/docs/api", "workers": "2", "jwt_secret": SECRET},
        ),
    ],
)
@pytest.mark.process
def test_server_does_not_start_and_says_why_in_one_line(
    line: str, settings: dict[str, str], database_url: str
) -> None:
    base = {"database_url": database_url, "data_dir": "/proc", "port": str(free_port())}
    result = agent_api("serve", **(base | settings))

    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert line in result.stderr
    assert result.stdout == ""


@pytest.mark.process
def test_default_data_folder_depends_on_the_user(tmp_path: Path) -> None:
    code = (
        "import os, sys; from agent_api.settings import Settings; "
        "os.setuid(int(sys.argv[1])); print(Settings.load({}).data_dir)"
    )

    def folder_of(user: int, **home: str) -> Path:
        environment = clean_environment() | {"PYTHONPATH": str(ROOT)}
        for name in ("HOME", "XDG_DATA_HOME"):
            environment.pop(name, None)
        environment |= home
        argv = [sys.executable, "-c", code, str(user)]
        result = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
        return Path(result.stdout.strip())

    ordinary = os.geteuid() or 65534
    assert folder_of(ordinary, HOME=str(tmp_path)).is_relative_to(tmp_path)
    assert folder_of(ordinary, HOME=str(tmp_path)).name == "agent-api"
    if os.geteuid() == 0:
        nobody_has_this_number = 54321
        assert folder_of(nobody_has_this_number) == Path("/var/lib/agent-api")
        assert folder_of(0, HOME=str(tmp_path)) == Path("/var/lib/agent-api")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_host_open_to_other_machines_is_served_with_a_key(
    database_url: str, tmp_path: Path
) -> None:
    with (
        start_server(
            database_url, tmp_path, host="0.0.0.0", log_level="warning", log_format="text"
        ) as server,
        server.client("maria") as maria,
    ):
        assert maria.get("/conversations").status_code == 200

    assert "conversations" not in server.log.read_text().split("Token")[1]  # only warnings
