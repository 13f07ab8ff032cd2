"""Clients that send or read too slowly, or send requests without reading responses.

The basic 408 is in test_smoke.py.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.calls import new_conversation, post_message
from tests.contract import NOWHERE, WITH_BODY, Rows
from tests.hostile.memory import MIB, peak
from tests.processes import wait_until
from tests.servers import Server, start_server
from tests.wire import Answer, Wire, head

pytestmark = pytest.mark.process

TIMEOUT = 2
"""In seconds; the server checks its connections once a second."""
AFTER_TIMEOUT = TIMEOUT + 4
LARGE_BYTES = 16_000_000
"""A little less than a full page of a list."""
NO_ROWS: Rows = dict.fromkeys(["conversation_id", "message_id", "run_id"], NOWHERE)
HEALTH = head("GET /healthz", token=False)


@pytest.fixture(scope="module")
def impatient(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a short timeout for slow clients."""
    folder = tmp_path_factory.mktemp("impatient")
    with start_server(database_url, folder, client_timeout_seconds=str(TIMEOUT)) as running:
        yield running


def create(length: int, *, token: bool = True) -> bytes:
    """Return the head of a request that creates a conversation."""
    lines = (b"Content-Type: application/json", b"Content-Length: %d" % length)
    return head("POST /conversations", *lines, token=token)


def trickle(wire: Wire, raw: bytes) -> None:
    """Send `raw` byte by byte until after the timeout, or until the server closes."""
    until = time.monotonic() + AFTER_TIMEOUT
    with contextlib.suppress(ConnectionError):
        for byte in raw:
            if time.monotonic() > until or wire.is_closed():
                return
            wire.send(bytes([byte]))
            time.sleep(0.1)


def assert_timeout(answer: Answer) -> None:
    assert answer.problem(408)["type"] == "/problems/request-timeout"
    assert answer.headers["connection"] == "close"


def test_slowly_sent_headers_are_a_408(impatient: Server) -> None:
    started = time.monotonic()

    with Wire(impatient) as first, Wire(impatient) as second, Wire(impatient) as third:
        second.send(HEALTH)
        third.send(HEALTH + HEALTH[:10])
        assert second.receive().status == third.receive().status == 200
        second.send(HEALTH[:10])
        trickle(first, HEALTH[:-1] + b"X-More: " + b"a" * 1000)

        assert_timeout(first.receive())
        assert_timeout(second.receive())
        assert_timeout(third.receive())
    assert time.monotonic() - started >= TIMEOUT


def test_silent_connection_is_closed_without_a_response(impatient: Server) -> None:
    started = time.monotonic()

    with Wire(impatient) as wire:
        assert wire.receive_raw(1) == b""

    assert TIMEOUT <= time.monotonic() - started < 60


def test_idle_connection_is_kept_longer_than_clients_keep_it(server: Server) -> None:
    """Httpx and Node keep it for 5 seconds. If the server closed it first, requests could fail."""
    with Wire(server) as wire:
        wire.send(HEALTH)
        assert wire.receive().status == 200
        time.sleep(7)

        wire.send(HEALTH)
        assert wire.receive().status == 200


def test_idle_connection_is_closed_after_keep_alive_seconds(
    database_url: str, tmp_path: Path
) -> None:
    with (
        start_server(database_url, tmp_path, keep_alive_seconds="1") as server,
        Wire(server) as wire,
    ):
        wire.send(HEALTH)
        assert wire.receive().status == 200

        assert wire.receive_raw(1) == b""


def test_incomplete_body_is_a_408_for_every_operation(impatient: Server) -> None:
    wires = {}
    with contextlib.ExitStack() as stack:
        for operation in WITH_BODY:
            lines = (b"Content-Type: application/json", b"Content-Length: 100")
            wires[operation.operation_id] = wire = stack.enter_context(Wire(impatient))
            wire.send(head(f"{operation.method} {operation.url(NO_ROWS)}", *lines) + b'{"title"')

        for operation in WITH_BODY:
            assert_timeout(wires[operation.operation_id].receive(operation.method))

    wait_until(lambda: impatient.log.read_text().count('"status":408') >= len(WITH_BODY))
    assert '"ERROR"' not in impatient.log.read_text()


@pytest.mark.parametrize("chunked", [False, True])
def test_slowly_sent_body_is_a_408(impatient: Server, chunked: bool) -> None:
    with Wire(impatient) as wire:
        if chunked:
            lines = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")
            wire.send(head("POST /conversations", *lines))
            trickle(wire, b"1\r\n \r\n" * 100)
        else:
            wire.send(create(1000))
            trickle(wire, b" " * 999)

        assert_timeout(wire.receive("POST"))


def test_server_does_not_wait_for_a_refused_body(impatient: Server) -> None:
    with Wire(impatient) as wire:
        wire.send(create(1000, token=False))
        assert wire.receive("POST").status == 401

        assert wire.receive_raw(1) == b""


def test_slow_but_steady_body_is_accepted(impatient: Server) -> None:
    body = json.dumps({"metadata": {"text": "a" * 12_000}}).encode()

    with Wire(impatient) as wire:
        wire.send(create(len(body)))
        for start in range(0, len(body), 1000):  # twice the minimum rate
            wire.send(body[start : start + 1000])
            time.sleep(0.5)
        answer = wire.receive("POST")

    assert answer.status == 201, answer.content


@pytest.fixture(scope="module")
def large(impatient: Server) -> bytes:
    """A request whose response does not fit in the socket buffers of the system."""
    user = f"large-{uuid.uuid4()}"
    with impatient.client(user) as client:
        conversation = new_conversation(client)
        for _ in range(20):
            post_message(client, conversation, "a" * 1_000_000)
    return head(f"GET /conversations/{conversation['id']}/messages", user=user)


def test_response_that_is_not_read_is_aborted(impatient: Server, large: bytes) -> None:
    with peak(impatient) as memory, Wire(impatient, window=4096) as wire:
        wire.send(large)
        time.sleep(AFTER_TIMEOUT)
        got = 0
        with contextlib.suppress(ConnectionError):
            while part := wire.receive_raw(MIB):
                got += len(part)

    assert got < LARGE_BYTES
    assert memory.grown < 200 * MIB


@pytest.mark.parametrize("after", [b"", b"garbage\r\n\r\n"], ids=["alone", "before garbage"])
def test_slowly_read_response_arrives_completely(
    after: bytes, impatient: Server, large: bytes
) -> None:
    with Wire(impatient, window=65536) as wire:
        wire.send(large + after)
        until, got = time.monotonic() + 2 * AFTER_TIMEOUT, 0
        while time.monotonic() < until:  # hundreds of kilobytes per second
            got += len(wire.receive_raw(65536))
            time.sleep(0.1)
        while got < LARGE_BYTES and (part := wire.receive_raw(MIB)):
            got += len(part)

    assert got >= LARGE_BYTES


def test_sixteen_pipelined_requests_are_answered_in_order(impatient: Server) -> None:
    paths = ["/healthz", "/nothing"] * 8

    with Wire(impatient) as wire:
        wire.send(b"".join(head(f"GET {path}", token=False) for path in paths))
        statuses = [wire.receive().status for _ in paths]

    assert statuses == [200, 404] * 8


def test_garbage_after_a_request_does_not_prevent_its_response(impatient: Server) -> None:
    body = b'{"title": "Before the garbage"}'
    length = b"Content-Length: %d" % len(body)
    post = head("POST /conversations", length, b"Content-Type: application/json") + body
    with Wire(impatient) as wire:
        wire.send(post + b"\x00\x01 garbage\r\n\r\n")

        assert wire.receive("POST").status == 201
        assert wire.receive_raw(1) == b""


def test_endless_pipelined_requests_are_limited(impatient: Server) -> None:
    flood = head("GET /conversations") * 2000

    with peak(impatient) as memory, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(impatient)) for _ in range(20)]
        for wire in wires:
            with contextlib.suppress(ConnectionError):
                wire.send(flood)
        answers = [list(statuses_on(wire)) for wire in wires]

    for statuses in answers:
        assert 1 <= len(statuses) <= 17
        assert set(statuses) == {200}
    assert memory.grown < 50 * MIB
    assert httpx.get(f"{impatient.url}/healthz", verify=False).status_code == 200


def statuses_on(wire: Wire) -> Iterator[int]:
    """Yield the status of each response until the connection closes."""
    with contextlib.suppress(ConnectionError):
        while True:
            answer = wire.receive()
            yield answer.status
            if answer.headers["connection"] == "close":
                return
