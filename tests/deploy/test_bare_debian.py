"""The Dockerfile, the units of systemd, compose.yaml and README's commands work on a bare Debian.

No container engine is needed: tests/deploy/image.py executes the instructions of the Dockerfile in
folders made by debootstrap. All tests share one such folder, because making it takes longest.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest

from agent_api.settings import Settings
from tests import log_watch
from tests.deploy.debian_root import (
    PATH,
    command_in,
    copied,
    new_root,
    pip_settings,
    processes_in,
    run,
)
from tests.deploy.image import Image, build
from tests.deploy.machine import booted
from tests.failover.postgres import Postgres, new_servers
from tests.processes import kill, wait_until
from tests.servers import SECRET, Server, free_port, wait_until_ready

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
ENVIRONMENT = Path("/etc/agent-api/environment")
COMMANDS = (CHECKOUT / "docs/reference/command-line.md").read_text("utf-8")
PASSWORD = "only 4 th!s test's database"


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    with new_root() as root:
        yield root


@pytest.fixture(scope="module")
def image(base: Path) -> Image:
    return build(DEPLOY / "Dockerfile", CHECKOUT, base, pip_settings(base.parent))


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """The URL of a database that deploy/postgresql/create.sql has made, with its password."""
    with new_servers([]) as (server,):
        rules = server.data / "pg_hba.conf"
        rules.write_text("host all agent_api 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
        server.start()
        server.wait()
        create(server)
        yield f"postgresql://agent_api:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/agent_api"


@pytest.fixture(scope="module")
def debian_with_tools(image: Image) -> Path:
    """A copy of the image with Debian's systemd, and Compose in /compose."""
    root = copied(image.root, "tools")
    steps = (
        "apt-get update -q",
        "apt-get install -qy --no-install-recommends systemd dbus",  # dbus: for systemd-run
        "apt-get download -q docker-compose",  # alone: it depends on Docker
        "dpkg-deb -x docker-compose_*.deb /compose",
    )
    environment = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive", "DPKG_FORCE": "unsafe-io"}
    run(command_in(root, "sh", "-c", " && ".join(steps)), environment)
    return root


def create(server: Postgres) -> None:
    subprocess.run(
        [server.program.with_name("psql"), "-qXf", DEPLOY / "postgresql/create.sql", server.url],
        env={"DATABASE_PASSWORD": PASSWORD},
        check=True,
    )


def test_image_contains_neither_pip_nor_the_build(image: Image) -> None:
    names = {path.name for path in (image.root / "opt/agent-api/bin").iterdir()}
    writable = [
        path
        for path in (image.root / "opt").rglob("*")
        if not path.is_symlink() and (path.stat().st_uid != 0 or path.stat().st_mode & 0o022)
    ]

    assert "agent-api" in names
    assert not {name for name in names if name.startswith("pip")}
    assert not (image.root / "etc/pip.conf").exists()
    assert not (image.root / "src").exists()
    assert not (image.root / "dist").exists()
    assert writable == []


def test_image_migrates_serves_and_stops_on_a_read_only_root(
    image: Image, database_url: str, tmp_path: Path
) -> None:
    port = free_port()
    environment = image.environment | {
        "AGENT_API_DATABASE_URL": database_url,
        "AGENT_API_HOST": "127.0.0.1",
        "AGENT_API_PORT": str(port),
    }

    def in_container(*command: str) -> list[str]:
        return command_in(image.root, *command, user=image.user, writable=False)

    said = run(in_container(*image.entrypoint, "migrate"), environment)
    assert "The database is at" in said

    environment |= {"AGENT_API_JWT_SECRET": SECRET, "AGENT_API_WORKERS": "2"}
    log = tmp_path / "log"
    with log.open("wb") as output:
        container = subprocess.Popen(
            in_container(*image.entrypoint, *image.command),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    server = Server(f"http://127.0.0.1:{port}", container, log)
    try:
        wait_until_ready(server)
        run(in_container(*image.healthcheck), environment)
        with server.client("alice") as alice:
            assert alice.post("/conversations", json={}).status_code == 201
        (init,) = psutil.Process(container.pid).children()
        assert init.uids().effective == int(image.user.partition(":")[0])

        init.send_signal(signal.Signals[image.stop_signal])

        assert container.wait(30) == 0, log.read_text()
    finally:
        container.kill()
        container.wait()
    log_watch.check(log.read_text())
    with pytest.raises(AssertionError, match="ConnectionRefusedError"):
        run(in_container(*image.healthcheck), environment)


def test_units_migrate_serve_restart_and_stop(
    debian_with_tools: Path, database_url: str, tmp_path: Path
) -> None:
    port = free_port()
    settings = {
        "AGENT_API_DATABASE_URL": database_url,
        "AGENT_API_JWT_SECRET": SECRET,
        "AGENT_API_PORT": str(port),
        "AGENT_API_WORKERS": "2",
    }
    environment = debian_with_tools / ENVIRONMENT.relative_to("/")
    environment.parent.mkdir()
    environment.write_text("".join(f'{name}="{value}"\n' for name, value in settings.items()))
    environment.chmod(0o600)
    for unit in (DEPLOY / "systemd").iterdir():
        shutil.copy(unit, debian_with_tools / "etc/systemd/system")

    def wait_until_served() -> None:
        wait_until(lambda: machine.property("agent-api", "ActiveState") == "active")
        wait_until(lambda: get_or_none(f"http://127.0.0.1:{port}/readyz") == 200)

    with booted(debian_with_tools) as machine:
        machine.run("systemctl", "start", "agent-api-migrate")
        as_service = ["--property=DynamicUser=yes", f"--property=EnvironmentFile={ENVIRONMENT}"]
        check = ["/opt/agent-api/bin/agent-api", "migrate", "--check"]
        assert "is at" in machine.run("systemd-run", "-q", "--pipe", "--wait", *as_service, *check)
        machine.run("systemctl", "start", "agent-api")
        wait_until_served()
        documented = re.search(r"^systemd-run [^`]+", COMMANDS, re.MULTILINE)
        assert documented is not None
        assert "\n0 errors, " in machine.run(*shlex.split(documented[0].replace("\\\n", "")))
        main = machine.property("agent-api", "MainPID")
        machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "agent-api")
        wait_until(lambda: machine.property("agent-api", "MainPID") not in {main, "0"})
        wait_until_served()

        machine.run("systemctl", "stop", "agent-api")

        assert machine.property("agent-api", "Result") == "success"
        assert machine.property("agent-api", "ExecMainStatus") == "0"
        log_watch.check(machine.journal())
        with environment.open("a") as settings_file:
            settings_file.write("AGENT_API_PORT=eighty\n")
        machine.run("systemctl", "start", "agent-api")
        wait_until(lambda: machine.property("agent-api", "ActiveState") == "failed")
        assert machine.property("agent-api", "ExecMainStatus") == "2"
        assert machine.property("agent-api", "NRestarts") == "0"


def get_or_none(url: str) -> int | None:
    try:
        return httpx.get(url, timeout=5, verify=False).status_code
    except httpx.TransportError:
        return None


def test_compose_reads_its_file_and_the_server_its_settings(debian_with_tools: Path) -> None:
    folder = debian_with_tools / "deploy"
    shutil.copytree(DEPLOY, folder)
    settings = (folder / ".env.example").read_text()
    (folder / ".env").write_text(f"{settings}DATABASE_PASSWORD=secret\n")
    compose = "/compose/usr/libexec/docker/cli-plugins/docker-compose"

    def config(*options: str) -> str:
        command = [compose, *options, "config", "--format", "json"]
        return run(command_in(debian_with_tools, *command, folder="/deploy"), {"PATH": PATH})

    services = json.loads(config("--profile", "monitoring"))["services"]

    assert "prometheus" not in json.loads(config())["services"]
    for name in ("api", "migrate"):
        loaded = Settings.load(services[name]["environment"])
        assert loaded.database_url == "postgresql://agent_api:secret@postgresql/agent_api"
        assert (services[name]["read_only"], services[name]["tmpfs"]) == (True, ["/tmp"])
    mounts = [mount for service in services.values() for mount in service.get("volumes", ())]
    files = [mount["source"] for mount in mounts if mount["type"] == "bind"]
    assert len(files) == 3
    assert all((debian_with_tools / file.lstrip("/")).is_file() for file in files)
    assert services["migrate"]["depends_on"]["postgresql"]["condition"] == "service_healthy"
    after_migration = services["api"]["depends_on"]["migrate"]["condition"]
    assert after_migration == "service_completed_successfully"


def test_make_serve_needs_only_what_readme_lists(base: Path, tmp_path: Path) -> None:
    root = copied(base, "readme")
    home = root / "home/someone"
    path = {"PATH": PATH}
    run(command_in(root, "useradd", "--create-home", "--uid", "1000", "someone"), path)
    git = ["git", "-c", "safe.directory=*", "clone", "--quiet"]
    subprocess.run([*git, f"file://{CHECKOUT}", home / "agent-api"], check=True)
    run(command_in(root, "chown", "-R", "1000:1000", "/home/someone"), path)
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as output:
        made = subprocess.Popen(
            command_in(
                root,
                *("make", "serve"),
                user="1000:1000",
                folder="/home/someone/agent-api",
                is_init=False,
                mounts=pip_settings(tmp_path),
            ),
            env={"PATH": PATH, "HOME": "/home/someone", "AGENT_API_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", made, log)
    try:
        wait_until_ready(server)
        assert httpx.get(f"{server.url}/healthz", verify=False).status_code == 200
        page = httpx.get(server.url, verify=False, follow_redirects=True)
        assert page.status_code == 200
        assert page.headers["Content-Type"].startswith("text/html")
        os.killpg(made.pid, signal.SIGINT)  # as Ctrl-C does
        made.wait(30)
        wait_until(lambda: not processes_in(root))
    finally:
        if left := processes_in(root):
            kill(left)
