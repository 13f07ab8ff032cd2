"""A server that can start no further threads answers with a retryable error, and recovers."""

import json
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from db.engine.bridge import LARGE_BYTES
from tests.identity import KeyPair, KeyServer
from tests.processes import wait_until
from tests.servers import Server, start_server
from tests.silence import Relay
from tests.test_json_log import run_at_start
from tests.test_request_log import whole_lines
from tests.tokens import ask, bearer

pytestmark = pytest.mark.process

NEW = KeyPair("ES256", "new")

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
def relay(database_url: str) -> Iterator[Relay]:
    """PostgreSQL on a port of 127.0.0.1."""
    with Relay(database_url) as running:
        yield running


@pytest.fixture
def exhaustible(
    provider: KeyServer, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A server that renews its keys after three seconds."""
    for name, folder in run_at_start(tmp_path, HUGE_STACKS).items():
        monkeypatch.setenv(name, folder)
    settings = {"jwt_jwks_url": provider.url, "jwt_jwks_max_age_seconds": "6"}
    with start_server(relay.url, tmp_path, **settings) as server:
        yield server


def ask_with_new_key(server: Server, provider: KeyServer) -> httpx.Response:
    """Send a token whose key the server has to fetch in a thread."""
    provider.keys[1:] = [NEW]
    return ask(server, NEW.sign("alice"))


def test_requests_that_need_a_new_thread_are_a_503_until_there_is_one(
    exhaustible: Server, provider: KeyServer
) -> None:
    wait_until(lambda: provider.fetched > 0)
    exhaustible.process.send_signal(signal.SIGUSR1)

    needy = ask_with_new_key(exhaustible, provider)
    alive = httpx.get(f"{exhaustible.url}/healthz")
    exhaustible.process.send_signal(signal.SIGUSR2)

    assert needy.status_code == 503, needy.text
    assert int(needy.headers["retry-after"]) >= 1
    assert "threads" in needy.json()["detail"]
    assert alive.status_code == 200
    # keys are fetched every 2 s
    wait_until(lambda: ask_with_new_key(exhaustible, provider).is_success)


def test_large_bodies_need_no_new_thread(exhaustible: Server, provider: KeyServer) -> None:
    """They are checked in a thread if there is one, so that other requests need not wait."""
    wait_until(lambda: provider.fetched > 0)
    exhaustible.process.send_signal(signal.SIGUSR1)

    response = httpx.post(
        f"{exhaustible.url}/conversations",
        json={"metadata": {"large": "x" * LARGE_BYTES}},
        headers=bearer(provider.keys[0].sign("alice")),
        verify=False,
    )

    assert response.status_code == 201, response.text


def test_database_needs_no_new_thread(
    relay: Relay, provider: KeyServer, exhaustible: Server
) -> None:
    """Neither a new connection nor a statement does, if the URL has no host name."""
    wait_until(lambda: provider.fetched > 0)
    exhaustible.process.send_signal(signal.SIGUSR1)
    relay.hang_up()
    relay.speak()

    ready = httpx.get(f"{exhaustible.url}/readyz")
    answer = ask(exhaustible, provider.keys[0].sign("alice"))

    assert ready.status_code == 200, ready.text
    assert answer.status_code == 200, answer.text


def test_tokens_with_known_keys_need_no_new_thread(
    exhaustible: Server, provider: KeyServer
) -> None:
    users = (f"user-{number}" for number in count())
    assert ask(exhaustible, provider.keys[0].sign(next(users))).status_code == 200
    exhaustible.process.send_signal(signal.SIGUSR1)

    def has_tried() -> bool:
        assert ask(exhaustible, provider.keys[0].sign(next(users))).status_code == 200
        lines = [json.loads(line) for line in whole_lines(exhaustible)]
        return any(line["message"] == "cannot fetch keys" for line in lines)

    wait_until(has_tried)
