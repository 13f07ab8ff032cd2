"""The containers of deploy/kubernetes/ run with the rights that the manifests give them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.deploy.manifests import DEPLOYMENT, JOB, SERVER, SETTINGS
from tests.deploy.pod import start_container
from tests.processes import wait_until
from tests.servers import free_port
from tests.silence import Relay

pytestmark = [
    pytest.mark.process,
    # Only root may become the containers' user, and only Linux has namespaces.
    pytest.mark.skipif(not psutil.LINUX or os.geteuid() != 0, reason="needs Linux and root"),
]


@contextmanager
def reachable(url: str) -> Iterator[dict[str, str]]:
    """Yield the manifests' settings, with a database that any user can reach, on loopback only."""
    with Relay(url) as relay:
        yield SETTINGS | {
            "AGENT_API_DATABASE_URL": relay.url,
            "AGENT_API_HOST": "127.0.0.1",
            "AGENT_API_PORT": str(free_port()),
            "AGENT_API_METRICS_HOST": "127.0.0.1",
            "AGENT_API_METRICS_PORT": str(free_port()),
        }


def test_job_migrates_and_server_becomes_ready_and_stops_in_time(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with reachable(new_database()) as settings:
        (container,) = JOB["spec"]["template"]["spec"]["containers"]
        migration = start_container(container, settings, log)
        assert migration.wait(60) == 0, log.read_text()

        server = start_container(SERVER, settings, log)
        try:
            base = f"http://127.0.0.1:{settings['AGENT_API_PORT']}"
            wait_until(lambda: server.poll() is not None or answers(base, "startup"))
            assert server.poll() is None, log.read_text()
            assert all(answers(base, kind) for kind in ("liveness", "readiness"))
            metrics = f"http://127.0.0.1:{settings['AGENT_API_METRICS_PORT']}/metrics"
            assert httpx.get(metrics, verify=False).status_code == 200
            assert_has_no_rights(server.pid)

            started = time.monotonic()
            server.send_signal(signal.SIGTERM)
            server.wait(30)
            pod = DEPLOYMENT["spec"]["template"]["spec"]
            stop = SERVER["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert server.returncode == 0
            assert stop + time.monotonic() - started < pod["terminationGracePeriodSeconds"]
        finally:
            server.kill()
            server.wait(30)


def answers(base: str, kind: str) -> bool:
    """Tell whether a probe succeeds."""
    probe = SERVER[f"{kind}Probe"]
    try:
        answer = httpx.get(
            base + probe["httpGet"]["path"], timeout=probe["timeoutSeconds"], verify=False
        )
    except httpx.TransportError:
        return False
    return answer.status_code == 200


def assert_has_no_rights(process_id: int) -> None:
    """Check that the test ran the server as the manifests say."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    mounts = Path(f"/proc/{process_id}/mounts").read_text().splitlines()
    (root,) = (line.split()[3] for line in mounts if line.split()[1] == "/")

    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"10001"}
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert root.startswith("ro")
