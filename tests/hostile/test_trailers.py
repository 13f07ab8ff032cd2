"""Chunked trailers are not treated as headers, use no memory and are limited."""

import contextlib
import json
import time
import uuid

import psutil
import pytest

from tests.calls import new_conversation
from tests.protocol.cases import case
from tests.servers import Server, sign
from tests.wire import Wire, head

JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
BODY = b"2\r\n{}\r\n0\r\n"


def post(*lines: bytes, token: bool = True, trailer: bytes = b"", user: str = "wire") -> bytes:
    request = head("POST /conversations", CHUNKED, *lines, token=token, user=user) + BODY
    return request + trailer + b"\r\n"


@pytest.mark.parametrize("separately", [False, True], ids=["one packet", "two packets"])
def test_trailer_is_not_a_header(separately: bool, server: Server) -> None:
    token = b"Authorization: Bearer " + sign("mallory").encode()

    def status(request: bytes) -> int:
        middle = request.index(BODY) + len(BODY) if separately else len(request)
        with Wire(server) as wire:
            wire.send(request[:middle])
            if separately:
                time.sleep(0.1)
                wire.send(request[middle:])
            return wire.receive("POST").status

    assert status(post(JSON, token=False, trailer=token + b"\r\n")) == 401
    assert status(post(JSON, trailer=token + b"\r\n")) == 201
    assert status(post(trailer=JSON + b"\r\n")) == 415
    assert status(post(JSON, trailer=b"Content-Encoding: gzip\r\n")) == 201
    assert status(post(JSON, trailer=b"Content-Type: text/plain\r\n")) == 201


def test_trailer_is_neither_idempotency_key_nor_request_id(server: Server) -> None:
    request = post(JSON, trailer=b"Idempotency-Key: k\r\nX-Request-Id: from-trailer\r\n")

    with Wire(server) as wire:
        answers = []
        for _ in range(2):
            wire.send(request)
            answers.append(wire.receive("POST"))

    first, second = (json.loads(answer.content)["id"] for answer in answers)
    assert first != second
    assert "from-trailer" not in {answer.headers["x-request-id"] for answer in answers}


def test_trailer_that_would_affect_the_connection_is_refused(server: Server) -> None:
    user = f"wire-{uuid.uuid4()}"
    for trailer in (b"Connection: close", b"Content-Length: 9", CHUNKED, b"Upgrade: x"):
        with case(trailer), Wire(server) as wire:
            wire.send(post(JSON, trailer=trailer + b"\r\n", user=user))
            wire.send(head("GET /healthz", token=False))

            wire.receive("POST").problem(400)
            assert wire.receive_raw(1) == b""
    with server.client(user) as client:
        assert client.get("/conversations").json()["total"] == 0


@pytest.mark.parametrize("token", [True, False])
@pytest.mark.parametrize("line", [b"a:\r\n", b"a: b\r\n", b"a" * 6])
def test_endless_trailers_are_limited_and_use_no_memory(
    line: bytes, token: bool, server: Server
) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss

    with Wire(server) as wire:
        wire.send(head("POST /conversations", JSON, CHUNKED, token=token) + BODY)
        with contextlib.suppress(OSError):  # the server closes the connection
            for _ in range(2000):
                wire.send(line * 10_000)

    assert process.memory_info().rss - before < 30_000_000
    with server.client("wire") as client:
        assert new_conversation(client)


def test_trailers_over_the_limit_are_a_431(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(head("POST /conversations", JSON, CHUNKED) + BODY)
        for _ in range(30):
            wire.send(b"a: b\r\n" * 500)
            time.sleep(0.01)

        assert wire.receive("POST").problem(431)["type"] == "/problems/headers-too-large"
        assert wire.receive_raw(1) == b""
