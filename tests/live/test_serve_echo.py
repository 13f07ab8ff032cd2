"""`agent-api serve --echo` runs an echo worker that lives as long as the server."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.commands import refusal
from tests.live.echoing import answer_of, ask
from tests.live.following import following, texts
from tests.processes import wait_until
from tests.servers import Server, agent_api, free_port, start_server

pytestmark = pytest.mark.process


def echo_worker(server: Server) -> psutil.Process:
    """Return the child process that claims runs: the only one with a connection to the server."""
    port = int(server.url.rpartition(":")[2])

    def claims(process: psutil.Process) -> bool:
        return any(c.raddr[1:] == (port,) for c in process.net_connections("tcp"))

    found: list[psutil.Process] = []

    def look() -> bool:
        children = psutil.Process(server.process.pid).children(recursive=True)
        found[:] = [child for child in children if claims(child)]
        return len(found) == 1

    wait_until(look)
    return found[0]


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one-process", "two-workers"])
def test_server_answers_runs_of_echo(
    database_url: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with start_server(database_url, tmp_path, "--echo", *arguments) as server:
        with server.client("maria") as maria:
            conversation, run = ask(maria, "echo", "Which region grew fastest?")
            with following(maria, run) as frames:
                events = list(frames)

            assert texts(events) == ["Which ", "region ", "grew ", "fastest?"]
            assert answer_of(maria, conversation, run) == "Which region grew fastest?"
        worker = echo_worker(server)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert not worker.is_running()


def test_echo_worker_ends_with_a_killed_server(database_url: str, tmp_path: Path) -> None:
    with start_server(database_url, tmp_path, "--echo") as server:
        worker = echo_worker(server)
        server.process.kill()
        psutil.wait_procs([worker], timeout=60)
        assert not worker.is_running()


def test_server_that_cannot_sign_refuses_to_echo(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("not read")
    settings = {"jwt_public_key_file": str(key), "port": str(free_port())}

    refused = refusal(agent_api("serve", "--echo", data_dir=str(tmp_path), **settings))

    assert "--no-echo" in refused
