"""Event streams, and clients that are slow or leave, through nginx and HAProxy."""

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import cycle

import httpx
import pytest

from tests.calls import Json, create, new_run
from tests.deploy.conftest import CLIENT_TIMEOUT_SECONDS
from tests.deploy.nodes import Nodes
from tests.deploy.proxies import HOST, Proxy
from tests.live.following import Frame, append, end, following, frames, running, texts, word
from tests.processes import wait_until
from tests.wire import Wire, head
from tests.workers import SCOPE, new_agent

pytestmark = [pytest.mark.process, pytest.mark.slow]

WORDS = [f"word {number}" for number in range(10)]


def test_words_arrive_one_by_one(nodes: Nodes, maria: httpx.Client) -> None:
    """Each word is sent only when the one before it has come, so nothing may keep words back."""
    run = running(maria)
    delays = []

    with following(maria, run) as events, ExitStack() as stack:
        writers = [stack.enter_context(node.client("maria")) for node in nodes]
        next(events)
        for text, writer in zip(WORDS, cycle(writers), strict=False):
            append(writer, run, word(text))
            written = time.monotonic()
            assert next(events).data == {"text": text}
            delays.append(time.monotonic() - written)
        end(maria, run)
        assert [event.event for event in events] == ["run.ended"]

    # Half of the words come after 0.1 s, because they were written on the other server. By default,
    # HAProxy delays all but the first by 0.2 s.
    assert sorted(delays)[2] < 0.15


def test_words_arrive_one_by_one_over_http_2(proxy: Proxy, maria: httpx.Client) -> None:
    run = running(maria)
    command = ["curl", "--no-buffer", "--silent", "--show-error", "--http2", "--max-time", "30"]
    command += ["--cacert", str(proxy.trusted), "--resolve", f"{HOST}:{proxy.tls_port}:127.0.0.1"]
    command += ["--header", f"Authorization: {maria.headers['authorization']}"]
    command += ["--write-out", "\n\nid: 0\nevent: curl\ndata: %{http_version}\n\n"]
    command += [f"https://{HOST}:{proxy.tls_port}/runs/{run['id']}/events/stream"]
    curl = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with curl:
        assert curl.stdout is not None
        events = frames(line.rstrip("\n") for line in curl.stdout)
        next(events)
        for text in WORDS:
            append(maria, run, word(text))
            assert next(events).data == {"text": text}
        end(maria, run)
        assert next(events).event == "run.ended"
        assert next(events).data == 2


class Reader:
    """Follows a run to its end, and continues after the last event if the stream is cut off."""

    def __init__(self, proxy: Proxy, run: Json) -> None:
        self.events: list[Frame] = []
        self.connections = 0
        self._proxy = proxy
        self._run = run
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        with self._proxy.client("maria") as client:
            while not self.events or self.events[-1].event != "run.ended":
                last = self.events[-1].id if self.events else 0
                self.connections += 1
                try:
                    with following(client, self._run, last_event_id=last) as events:
                        self.events.extend(events)
                except (httpx.TransportError, AssertionError):  # cut off, or a 503
                    time.sleep(0.1)

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_streams_continue_on_the_other_server(nodes: Nodes, proxies: Mapping[str, Proxy]) -> None:
    with nodes[1].client("maria") as maria:
        run = running(maria)
        readers = {name: [Reader(proxy, run) for _ in range(4)] for name, proxy in proxies.items()}
        for number, text in enumerate(WORDS):
            append(maria, run, word(text))
            if number == 3:
                wait_until(
                    lambda: all(reader.events for each in readers.values() for reader in each)
                )
                nodes.kill(0)
        nodes.start(0)
        end(maria, run)

    for each in readers.values():
        for reader in each:
            reader.join()
            assert texts(reader.events) == WORDS
            assert [event.id for event in reader.events] == list(range(1, len(WORDS) + 3))
        assert {reader.connections > 1 for reader in each} == {True, False}


def test_claim_of_a_client_that_has_left_takes_no_run(
    proxy: Proxy, nodes: Nodes, maria: httpx.Client
) -> None:
    agent, request_id = new_agent(), str(uuid.uuid4())
    claim = {"agent_ids": [agent], "wait_seconds": 20}
    with proxy.client("worker", scope=SCOPE) as worker:
        with pytest.raises(httpx.ReadTimeout):
            worker.post("/runs/claim", json=claim, headers={"X-Request-Id": request_id}, timeout=1)
        assert json.loads(nodes.line_of(request_id))["status"] == 499
        run = new_run(maria, agent_id=agent)
        claimed = worker.post("/runs/claim", json=claim)

    assert claimed.json()["run"]["id"] == run["id"]
    assert claimed.json()["run"]["attempts"] == 1


def test_server_learns_that_the_reader_of_a_stream_has_left(
    proxy: Proxy, nodes: Nodes, maria: httpx.Client
) -> None:
    request_id = str(uuid.uuid4())
    run = running(maria)
    headers = {"X-Request-Id": request_id}

    with maria.stream("GET", f"/runs/{run['id']}/events/stream", headers=headers) as response:
        next(response.iter_raw())
    left = time.monotonic()
    nodes.line_of(request_id)

    assert time.monotonic() - left < 5, "only the next comment has told"


def test_slow_clients_are_disconnected_and_others_go_on(
    proxy: Proxy, nodes: Nodes, maria: httpx.Client
) -> None:
    run = running(maria)
    for _ in range(40):
        append(maria, run, word("x" * 500_000))
    reading_id = str(uuid.uuid4())
    token = maria.headers["authorization"].encode()
    body = [b"Content-Type: application/json", b"Content-Length: 1000"]
    with Wire(proxy, window=4096) as reader, Wire(proxy) as sender:
        reader.send(
            head(
                f"GET /runs/{run['id']}/events/stream",
                *(b"Authorization: " + token, b"X-Request-Id: " + reading_id.encode()),
                token=False,
            )
        )
        sender.send(head("POST /conversations", *body) + b"{")
        started = time.monotonic()
        longest = 0.0
        while time.monotonic() < started + CLIENT_TIMEOUT_SECONDS:
            began = time.monotonic()
            create(maria, "/conversations")
            longest = max(longest, time.monotonic() - began)
        refused = sender.receive("POST")
        nodes.line_of(reading_id)

    assert refused.problem(408)["type"] == "/problems/request-timeout"
    assert longest < CLIENT_TIMEOUT_SECONDS / 2
