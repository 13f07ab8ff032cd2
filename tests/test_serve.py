"""`agent-api serve` and `agent-api migrate`, run like a user runs them."""

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from db import embedded
from tests.commands import refusal, starting, status
from tests.processes import wait_until
from tests.servers import (
    SECRET,
    Server,
    agent_api,
    clean_environment,
    command,
    free_port,
    start_server,
    wait_until_ready,
)

pytestmark = pytest.mark.process


@pytest.mark.smoke
def test_ctrl_c_ends_a_server_without_a_traceback(database_url: str, tmp_path: Path) -> None:
    settings = {"database_url": database_url, "data_dir": str(tmp_path), "log_format": "text"}
    with starting(tmp_path, [], **settings) as server:
        wait_until_ready(server)

        server.process.send_signal(signal.SIGINT)  # Ctrl-C
        server.process.wait(60)
        assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
def test_servers_with_one_data_folder_share_its_database(data_dir: Path, tmp_path: Path) -> None:
    settings = {"data_dir": str(data_dir), "jwt_secret": SECRET}
    with starting(tmp_path, [], **settings) as one:
        with starting(tmp_path, [], **settings) as other:
            wait_until_ready(one)
            wait_until_ready(other)
            with one.client("alice") as alice:
                made = alice.post("/conversations", json={"title": "Shared"}).json()
            with other.client("alice") as alice:
                assert alice.get(f"/conversations/{made['id']}").json()["title"] == "Shared"
        with one.client("alice") as alice:
            assert alice.get(f"/conversations/{made['id']}").status_code == 200

    wait_until(lambda: embedded.is_stopped(data_dir))


def test_serve_options_override_the_environment(database_url: str, tmp_path: Path) -> None:
    settings = {"database_url": database_url, "data_dir": str(tmp_path)}
    more = {"port": "1", "host": "0.0.0.0", "workers": "64"}
    options = ["--host", "127.0.0.1", "--workers", "1"]
    with starting(tmp_path, options, **settings, **more) as server:
        wait_until_ready(server)


def test_serve_refuses_a_port_in_use(server: Server, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]

    line = refusal(agent_api("serve", "--port", port, data_dir=str(tmp_path)))

    assert f"Cannot listen on 127.0.0.1 port {port}" in line


@pytest.mark.parametrize("option", ["--workers", pytest.param("--reload", marks=pytest.mark.slow)])
def test_serve_stops_all_of_its_processes(option: str, database_url: str, tmp_path: Path) -> None:
    settings = {"database_url": database_url, "data_dir": str(tmp_path)}
    options = {"--workers": ["--workers", "2"], "--reload": ["--reload"]}[option]
    code = tmp_path / "code.py"
    code.touch()
    with starting(tmp_path, options, **settings) as server:
        wait_until_ready(server)
        parent = psutil.Process(server.process.pid)
        family = {parent, *parent.children(recursive=True)}
        if option == "--reload":
            code.write_text("# changed")
            wait_until(lambda: not set(parent.children(recursive=True)) <= family)
            wait_until(lambda: status(f"{server.url}/readyz") == 200)
        family |= set(parent.children(recursive=True))
        assert len(family) >= 3

        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert psutil.wait_procs(family, timeout=60)[1] == []
        assert "Traceback" not in server.log.read_text()


def test_migrate_prepares_a_new_database(new_database: Callable[[], str], tmp_path: Path) -> None:
    settings = {"database_url": new_database(), "data_dir": str(tmp_path)}
    with starting(tmp_path, [], **settings) as server:
        wait_until(lambda: status(f"{server.url}/healthz") == 200)
        before = httpx.get(f"{server.url}/readyz")
        behind = agent_api("migrate", "--check", **settings)
        assert (
            agent_api("demo", **settings).stderr == behind.stderr
        )  # demo does not migrate an external database
        still = httpx.get(f"{server.url}/readyz")
        migrated = agent_api("migrate", **settings)
        after = httpx.get(f"{server.url}/readyz")

    assert (before.status_code, still.status_code, after.status_code) == (503, 503, 200)
    assert "behind" in before.json()["detail"]
    assert "behind" in refusal(behind, code=1)
    assert migrated.returncode == 0
    assert re.search(r"^0001 ", migrated.stderr, re.MULTILINE)  # each step is printed
    assert re.fullmatch(r"The database is at \w+\.\n", migrated.stdout)
    check = agent_api("migrate", "--check", **settings)
    assert (check.returncode, check.stdout) == (0, migrated.stdout)


def test_migrate_check_does_not_create_a_database(data_dir: Path) -> None:
    folder = data_dir / "new"

    result = agent_api("migrate", "--check", data_dir=str(folder))

    assert f"The database in {folder} does not exist yet" in refusal(result, code=1)
    assert not folder.exists()


@pytest.mark.smoke
def test_concurrent_migrate_commands_both_succeed(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    environment = clean_environment(database_url=new_database(), data_dir=str(tmp_path))
    both = [
        subprocess.Popen(
            command("migrate"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]

    said = [process.communicate(timeout=60)[1] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert sum(b"0001 Create" in lines for lines in said) == 1


@pytest.mark.parametrize("arguments", [["migrate", "--check"], ["demo"]], ids=" ".join)
def test_unreachable_database_is_reported_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    url = f"postgresql://agent:hunter2@127.0.0.1:{free_port()}/agent"

    line = refusal(agent_api(*arguments, database_url=url, data_dir=str(tmp_path)), code=1)

    assert "hunter2" not in line


@pytest.mark.slow
def test_worker_that_pauses_for_some_seconds_is_not_killed(
    database_url: str, tmp_path: Path
) -> None:
    with start_server(database_url, tmp_path, "--workers", "2") as server:
        serving = psutil.Process(server.process.pid)
        before = {child.pid for child in serving.children()}
        for child in serving.children():
            child.suspend()  # like a worker that starts on a busy machine
        time.sleep(6)
        for pid in before:
            psutil.Process(pid).resume()
        time.sleep(2)

        assert {child.pid for child in serving.children()} == before
        assert status(f"{server.url}/healthz") == 200
