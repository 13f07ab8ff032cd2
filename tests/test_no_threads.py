"""A server that can start no further threads answers with a retryable error, and recovers."""

import json
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.identity import KeyPair, KeyServer
from tests.processes import wait_until
from tests.servers import Server, start_server
from tests.test_json_log import run_at_start
from tests.tokens import ask

pytestmark = pytest.mark.process

HUGE_STACKS = """
import signal, threading

def set_size(number, frame):
    threading.stack_size(1 << 47 if number == signal.SIGUSR1 else 0)

for number in (signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, set_size)
"""
"""After SIGUSR1 no machine has the memory for the stack of a new thread, until SIGUSR2."""


@pytest.fixture
def provider() -> Iterator[KeyServer]:
    with KeyServer(KeyPair("ES256", "old")) as running:
        yield running


@pytest.fixture
def exhaustible(
    provider: KeyServer, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A server that renews its keys after three seconds."""
    for name, folder in run_at_start(tmp_path, HUGE_STACKS).items():
        monkeypatch.setenv(name, folder)
    settings = {"jwt_jwks_url": provider.url, "jwt_jwks_max_age_seconds": "6"}
    with start_server(database_url, tmp_path, **settings) as server:
        yield server


def test_requests_that_need_a_new_thread_are_a_503_until_there_is_one(
    exhaustible: Server, provider: KeyServer
) -> None:
    wait_until(lambda: provider.fetched > 0)
    exhaustible.process.send_signal(signal.SIGUSR1)

    needy = httpx.get(f"{exhaustible.url}/readyz")
    alive = httpx.get(f"{exhaustible.url}/healthz")
    exhaustible.process.send_signal(signal.SIGUSR2)
    after = httpx.get(f"{exhaustible.url}/readyz")

    assert needy.status_code == 503, needy.text
    assert int(needy.headers["retry-after"]) >= 1
    assert "threads" in needy.json()["detail"]
    assert alive.status_code == 200
    assert after.status_code == 200


def test_tokens_with_known_keys_need_no_new_thread(
    exhaustible: Server, provider: KeyServer
) -> None:
    users = (f"user-{number}" for number in count())
    assert ask(exhaustible, provider.keys[0].sign(next(users))).status_code == 200
    exhaustible.process.send_signal(signal.SIGUSR1)

    def has_tried() -> bool:
        assert ask(exhaustible, provider.keys[0].sign(next(users))).status_code == 200
        lines = [json.loads(line) for line in exhaustible.log.read_text().splitlines()]
        return any(line["message"] == "cannot fetch keys" for line in lines)

    wait_until(has_tried)
