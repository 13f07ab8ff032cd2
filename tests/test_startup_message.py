"""What `agent-api serve` prints before it serves, on a terminal and elsewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from tests import log_watch
from tests.commands import starting, status
from tests.processes import wait_until
from tests.servers import (
    SECRET,
    clean_environment,
    free_port,
    wait_until_ready,
)
from tests.terminals import on_terminal

pytestmark = pytest.mark.process


def lines_of(text: str) -> dict[str, str]:
    """Return what the summary says, by its labels."""
    return dict(re.findall(r"^  ([A-Z]\w+) +(.+)$", text, re.MULTILINE))


def in_another_shell(line: str, **settings: str) -> str:
    return subprocess.run(
        ["sh", "-c", line.replace(" python ", f" {shlex.quote(sys.executable)} ")],
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.mark.smoke
def test_serve_prints_addresses_data_and_commands_but_no_token_to_a_file(
    data_dir: Path, tmp_path: Path
) -> None:
    settings = {"data_dir": str(data_dir), "metrics_port": str(free_port()), "log_format": "text"}
    with starting(tmp_path, ["--workers", "2"], **settings) as server:
        wait_until_ready(server)
        text = server.log.read_text()
        said = lines_of(text)

        assert said["Page"] == f"{server.url}/"
        assert said["API"] == server.url
        assert status(said["Docs"]) == status(said["Metrics"]) == 200
        assert re.fullmatch(rf"{re.escape(str(data_dir))} \(PostgreSQL \d+\.\d+\)", said["Data"])
        assert said["Workers"] == "2"
        assert said["Agent"].endswith(f" worker --echo --url {server.url}")
        assert "Press Ctrl-C to stop." in text
        assert "\x1b" not in text
        columns = {
            line.index(value)
            for line in text.splitlines()
            for label, value in said.items()
            if line.startswith(f"  {label} ")
        }
        assert len(columns) == 1, "the values are aligned"

        token = in_another_shell(said["Token"])
        answer = httpx.get(
            f"{server.url}/conversations", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 200


def test_link_on_a_terminal_signs_in(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {"database_url": database_url, "data_dir": str(tmp_path), "port": str(port)}
    with on_terminal("serve", env={}, log_format="text", **settings) as terminal:
        said = terminal.wait_for("Press Ctrl-C to stop.")
        assert len(said.splitlines()) <= 24
        link = lines_of(said)["Page"]
        address, _, token = link.partition("#token=")
        log_watch.token(token)

        assert address == f"http://127.0.0.1:{port}/"
        wait_until_listening(port)
        made = httpx.post(
            f"{address}conversations", json={}, headers={"Authorization": f"Bearer {token}"}
        )
        assert made.json()["user_id"] == "alice"


def wait_until_listening(port: int) -> None:
    wait_until(lambda: status(f"http://127.0.0.1:{port}/healthz") == 200)


@pytest.mark.parametrize(
    ("settings", "page", "token"),
    [
        # Other machines can reach it, as in a container, whose engine keeps the output.
        (
            {"host": "0.0.0.0", "jwt_secret": SECRET},
            "http://0.0.0.0:{port}/",
            " token --user alice",
        ),
        (
            {"jwt_jwks_url": "http://127.0.0.1:1/keys"},
            "http://127.0.0.1:{port}/",
            "from your identity provider",
        ),
    ],
    ids=["open host", "identity provider"],
)
def test_link_has_no_token_unless_the_server_is_a_developers(
    settings: dict[str, str], page: str, token: str, database_url: str, tmp_path: Path
) -> None:
    port = str(free_port())
    base = {"database_url": database_url, "data_dir": str(tmp_path), "port": port}
    with on_terminal("serve", env={}, log_format="text", **base, **settings) as terminal:
        said = lines_of(terminal.wait_for("Press Ctrl-C to stop."))

    assert said["Page"] == page.format(port=port)
    assert said["Token"].endswith(token)


def test_database_is_named_without_its_password(database_url: str, tmp_path: Path) -> None:
    url = make_url(database_url).set(password="hunter2").render_as_string(hide_password=False)
    with starting(
        tmp_path, [], database_url=url, data_dir=str(tmp_path), log_format="text"
    ) as server:
        wait_until_ready(server)
        text = server.log.read_text()

    assert f"{make_url(url).database} on " in lines_of(text)["Data"]
    assert "(PostgreSQL " in lines_of(text)["Data"]
    assert "hunter2" not in text


def test_unreachable_database_is_named_without_a_version(tmp_path: Path) -> None:
    url = "postgresql://agent:hunter2@127.0.0.1:1/gone"
    with starting(
        tmp_path, [], database_url=url, data_dir=str(tmp_path), log_format="text"
    ) as server:
        port = int(server.url.rpartition(":")[2])
        wait_until_listening(port)
        text = server.log.read_text()

    assert "Not ready yet: The database cannot be reached" in text
    assert lines_of(text)["Data"] == "gone on 127.0.0.1:1"
    assert "hunter2" not in text
