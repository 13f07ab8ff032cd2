"""The command line as people use it: every command and option, each in a process of its own."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import psutil
import pytest

from db import embedded
from tests import log_watch
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

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "serve": ["--host", "--port", "--workers", "--reload"],
    "mock": ["--host", "--port"],
    "migrate": ["--check"],
    "token": ["--user", "--expires-in", "--scope"],
    "demo": ["--user"],
    "psql": ["--url"],
    "routes": [],
    "version": [],
}
Result = subprocess.CompletedProcess[str]


def refusal(result: Result, *, code: int = 2) -> str:
    """Return the one line that says what is wrong."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("agent-api: ")
    return line


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def status(url: str) -> int | None:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return None  # nobody listens


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder for an embedded database, which the account that runs it can enter."""
    folder = Path(tempfile.mkdtemp(prefix="agent-api-cli-"))
    folder.chmod(0o711)
    yield folder
    wait_until(lambda: embedded.is_stopped(folder))
    shutil.rmtree(folder)


@contextmanager
def starting(log_dir: Path, options: list[str], **settings: str) -> Iterator[Server]:
    """Start the server for the block; unlike start_server it has only the given settings."""
    port = free_port()
    log = log_dir / f"serve-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command("serve", "--port", str(port), *options),
            cwd=log_dir,  # what --reload watches
            env=clean_environment(**settings) | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Server(f"http://127.0.0.1:{port}", process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
    log_watch.check(log.read_text())


@pytest.mark.smoke
def test_serve_says_where_everything_is_and_how_to_get_a_token(
    data_dir: Path, tmp_path: Path
) -> None:
    settings = {"data_dir": str(data_dir), "metrics_port": str(free_port())}
    with starting(tmp_path, [], **settings) as server:
        wait_until_ready(server)
        said = dict(re.findall(r"^  ([A-Z]\w+) +(.+)$", server.log.read_text(), re.MULTILINE))
        assert said["API"] == server.url
        assert status(said["Docs"]) == status(said["Metrics"]) == 200
        assert said["Data"] == str(data_dir)

        token = subprocess.run(
            ["sh", "-c", said["Token"].replace(" python ", f" {shlex.quote(sys.executable)} ")],
            env=clean_environment(),  # as in another shell
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        alices = httpx.get(
            f"{server.url}/conversations", headers={"Authorization": f"Bearer {token}"}
        )
        assert alices.status_code == 200

        server.process.send_signal(signal.SIGINT)  # Ctrl-C
        server.process.wait(30)
        assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
def test_two_servers_of_one_folder_share_its_database(data_dir: Path, tmp_path: Path) -> None:
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


def test_serve_options_win_over_the_environment(database_url: str, tmp_path: Path) -> None:
    settings = {"database_url": database_url, "data_dir": str(tmp_path)}
    more = {"port": "1", "host": "0.0.0.0", "workers": "64"}
    options = ["--host", "127.0.0.1", "--workers", "1"]
    with starting(tmp_path, options, **settings, **more) as server:
        wait_until_ready(server)


def test_serve_refuses_a_port_that_is_taken(server: Server, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]

    line = refusal(agent_api("serve", "--port", port, data_dir=str(tmp_path)))

    assert f"Cannot listen on 127.0.0.1 port {port}" in line


@pytest.mark.parametrize("host", ["", " "])
@pytest.mark.parametrize("name", ["serve", "mock"])
def test_an_empty_host_is_refused_by_the_name_of_its_option(
    name: str, host: str, tmp_path: Path
) -> None:
    line = refusal(agent_api(name, "--host", host, data_dir=str(tmp_path)))

    assert "--host" in line
    assert "AGENT_API_HOST" not in line


def test_host_that_others_reach_is_refused_by_the_name_of_its_option(tmp_path: Path) -> None:
    line = refusal(agent_api("serve", "--host", "0.0.0.0", data_dir=str(tmp_path)))

    assert "--host 0.0.0.0 is open to other machines" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--reload", "--workers", "2"],
        ["serve", "--port", "0"],
        ["migrate", "--to", "0001"],
        ["token"],
        ["token", "--user", ""],
        ["conquer"],
        ["--colour"],
    ],
    ids=" ".join,
)
def test_unusable_arguments_are_refused_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    refusal(agent_api(*arguments, data_dir=str(tmp_path)))


@pytest.mark.parametrize("option", ["--workers", pytest.param("--reload", marks=pytest.mark.slow)])
def test_serve_in_several_processes_ends_them_all(
    option: str, database_url: str, tmp_path: Path
) -> None:
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
        assert server.process.wait(30) == 0
        assert psutil.wait_procs(family, timeout=10)[1] == []
        assert "Traceback" not in server.log.read_text()


def test_migrate_makes_a_new_database_ready(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    settings = {"database_url": new_database(), "data_dir": str(tmp_path)}
    with starting(tmp_path, [], **settings) as server:
        wait_until(lambda: status(f"{server.url}/healthz") == 200)
        before = httpx.get(f"{server.url}/readyz")
        behind = agent_api("migrate", "--check", **settings)
        assert (
            agent_api("demo", **settings).stderr == behind.stderr
        )  # an external one is left alone
        still = httpx.get(f"{server.url}/readyz")
        migrated = agent_api("migrate", **settings)
        after = httpx.get(f"{server.url}/readyz")

    assert (before.status_code, still.status_code, after.status_code) == (503, 503, 200)
    assert "behind" in before.json()["detail"]
    assert "behind" in refusal(behind, code=1)
    assert migrated.returncode == 0
    assert re.search(r"^0001 ", migrated.stderr, re.MULTILINE)  # each step is told
    assert re.fullmatch(r"The database is at \w+\.\n", migrated.stdout)
    check = agent_api("migrate", "--check", **settings)
    assert (check.returncode, check.stdout) == (0, migrated.stdout)


def test_migrate_check_makes_no_database_where_there_is_none(data_dir: Path) -> None:
    folder = data_dir / "new"

    result = agent_api("migrate", "--check", data_dir=str(folder))

    assert f"There is no database in {folder} yet" in refusal(result, code=1)
    assert not folder.exists()


@pytest.mark.smoke
def test_migrate_twice_at_once_waits_for_each_other(
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
def test_database_that_is_away_is_said_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    url = f"postgresql://agent:hunter2@127.0.0.1:{free_port()}/agent"

    line = refusal(agent_api(*arguments, database_url=url, data_dir=str(tmp_path)), code=1)

    assert "hunter2" not in line


def claims_of(result: Result) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    claims: dict[str, Any] = jwt.decode(
        result.stdout.strip(), SECRET, algorithms=["HS256"], options={"verify_aud": False}
    )
    return claims


def test_token_is_for_eight_hours_and_says_nothing_else() -> None:
    started = int(time.time())

    claims = claims_of(agent_api("token", "--user", "maria.keller", jwt_secret=SECRET))

    assert claims.keys() == {"sub", "iat", "exp"}
    assert claims["sub"] == "maria.keller"
    assert started <= claims["iat"] <= time.time()
    assert claims["exp"] - claims["iat"] == 8 * 3600


def test_token_has_the_scopes_and_what_the_server_wants() -> None:
    result = agent_api(
        *("token", "--user", "maria", "--scope", "read", "--scope", "write"),
        jwt_secret=SECRET,
        jwt_issuer="https://id.example.org",
        jwt_audience="agent-api",
    )

    claims = claims_of(result)
    assert claims["scope"] == "read write"
    assert (claims["iss"], claims["aud"]) == ("https://id.example.org", "agent-api")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("7d", 604800)])
def test_token_lasts_as_long_as_asked(text: str, seconds: int) -> None:
    result = agent_api("token", "--user", "maria", "--expires-in", text, jwt_secret=SECRET)

    claims = claims_of(result)
    assert claims["exp"] - claims["iat"] == seconds


@pytest.mark.parametrize("text", ["8", "0h", "4000d"])
def test_token_for_no_duration_is_refused(text: str) -> None:
    result = agent_api("token", "--user", "maria", "--expires-in", text, jwt_secret=SECRET)

    assert "not a duration: write 90s, 30m, 8h or 7d" in refusal(result)


def test_token_comes_from_the_identity_provider_where_there_is_one() -> None:
    keys_at = "https://id.example.org/jwks"

    line = refusal(agent_api("token", "--user", "maria", jwt_jwks_url=keys_at))

    assert "identity provider" in line


def test_demo_adds_a_dozen_conversations_each_time(
    server: Server, database_url: str, new_client: Callable[..., httpx.Client], tmp_path: Path
) -> None:
    settings = {"database_url": database_url, "data_dir": str(tmp_path), "jwt_secret": SECRET}
    user_id = f"maria-{os.urandom(4).hex()}"
    maria = new_client(user_id)

    first = agent_api("demo", "--user", user_id, **settings)
    page = maria.get("/conversations").json()
    agent_api("demo", "--user", user_id, **settings)
    more = maria.get("/conversations").json()

    assert first.returncode == 0, first.stderr
    messages = sum(conversation["message_count"] for conversation in page["conversations"])
    runs = maria.get("/runs").json()["total"] // 2
    assert first.stdout == (
        f"{user_id} has 12 new conversations, {messages} messages, {runs} runs.\n"
    )
    assert (page["total"], more["total"]) == (12, 24)
    assert len({conversation["title"] for conversation in page["conversations"]}) == 12


@pytest.mark.slow
def test_demo_makes_the_embedded_database_where_there_is_none(data_dir: Path) -> None:
    result = agent_api("demo", data_dir=str(data_dir))

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("demo has 12 new conversations")
    assert "Traceback" not in result.stderr


def test_version_is_one_line() -> None:
    said = agent_api("version").stdout

    assert re.fullmatch(r"agent-api \d\S*\n", said)
    assert agent_api("--version").stdout == said


def test_token_says_where_it_made_a_new_secret(tmp_path: Path) -> None:
    first, second = (agent_api("token", "--user", "a", data_dir=str(tmp_path)) for _ in range(2))

    path = tmp_path / "jwt-secret"
    assert first.stderr == (
        f"Created a secret in {path}. Only servers with this data folder know it.\n"
    )
    assert second.stderr == ""


def test_help_lists_the_commands() -> None:
    result = agent_api("--help")

    assert (result.returncode, result.stderr) == (0, "")
    assert re.findall(r"^  (\w+)  +\w", result.stdout, re.MULTILINE) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_explains_each_option(name: str) -> None:
    result = agent_api(name, "-h")

    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"\n\n  [A-Z][^.]+\.\n", result.stdout)  # a sentence that says what it does
    explained = re.findall(r"^  (?:-h, )?(--[a-z-]+).*  +[A-Z0-9]", result.stdout, re.MULTILINE)
    assert sorted(explained) == sorted([*COMMANDS[name], "--help"])


@pytest.mark.slow
def test_a_worker_that_does_not_answer_for_a_while_is_not_ended(
    database_url: str, tmp_path: Path
) -> None:
    with start_server(database_url, tmp_path, "--workers", "2") as server:
        serving = psutil.Process(server.process.pid)
        before = {child.pid for child in serving.children()}
        for child in serving.children():
            child.suspend()  # as one that loads on a busy machine
        time.sleep(8)
        for pid in before:
            psutil.Process(pid).resume()
        time.sleep(2)

        assert {child.pid for child in serving.children()} == before
        assert status(f"{server.url}/healthz") == 200
