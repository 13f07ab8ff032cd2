"""Offers to upgrade the protocol are ignored (RFC 9110 section 7.8), and the body stays a body."""

import json

import pytest

from tests.protocol.cases import case
from tests.servers import Server
from tests.wire import Wire, ask, head

JSON = b"Content-Type: application/json"
H2C = (
    b"Connection: Upgrade, HTTP2-Settings",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)
"""What Java's HttpClient sends by default with the first request to a server."""
OFFERS = {
    "h2c": H2C,
    "websocket": (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13"),
    "two protocols": (b"Upgrade: h2c, TLS/1.0", b"Connection: keep-alive, upgrade"),
    "two headers": (b"UPGRADE: h2c", b"upgrade: websocket", b"connection: UPGRADE"),
    "an empty offer": (b"Upgrade:", b"Connection: upgrade"),
    "no connection option": (b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAA"),
}
SMUGGLED = head("DELETE /users/me/chat-settings")
"""What must never run if it is sent as a body."""


def framed(body: bytes, *, chunked: bool) -> tuple[bytes, bytes]:
    """Return the header that announces `body`, and how it is sent."""
    if chunked:
        return b"Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return b"Content-Length: %d" % len(body), body


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
def test_body_is_read_and_the_connection_stays_open(
    offer: tuple[bytes, ...], chunked: bool, server: Server
) -> None:
    line, body = framed(b'{"title": "from Java"}', chunked=chunked)
    request = head("POST /conversations", JSON, *offer, line) + body
    with Wire(server) as wire:
        wire.send(request * 3 + head("GET /nothing", *offer) * 2)  # pipelined

        for _ in range(3):
            answer = wire.receive("POST")
            assert (answer.status, answer.headers["connection"]) == (201, None)
            assert json.loads(answer.content)["title"] == "from Java"
        for _ in range(2):
            wire.receive().problem(404)


def test_head_and_body_can_arrive_byte_by_byte(server: Server) -> None:
    for chunked in (False, True):
        line, body = framed(b"{}", chunked=chunked)
        raw = head("POST /conversations", JSON, *H2C, line) + body
        with Wire(server) as wire:
            for position in range(len(raw)):
                wire.send(raw[position : position + 1])

            assert wire.receive("POST").status == 201


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
def test_body_is_never_run_as_a_request(
    offer: tuple[bytes, ...], chunked: bool, server: Server
) -> None:
    line, body = framed(SMUGGLED, chunked=chunked)
    request = head("POST /conversations", JSON, *offer, line)
    for parts in ([request + body], [request, body]):
        with Wire(server) as wire:
            for part in parts:
                wire.send(part)
            wire.send(head("GET /nothing"))

            assert wire.receive("POST").problem(400)["type"] == "/problems/bad-request"
            assert wire.receive().problem(404)


def test_ambiguous_framing_is_refused_as_without_an_offer(server: Server) -> None:
    for lines in (
        [b"Content-Length: 2", b"Content-Length: 3"],
        [b"Content-Length: 2", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: identity"],
        [b"Content-Length: +2"],
        [b"Content-Length: 2", b"Host: b"],
        [b"Content-Length: 2", b"Content-Encoding: a", b"Content-Encoding: b"],
    ):
        with case(lines), Wire(server) as wire:
            wire.send(head("POST /conversations", JSON, *H2C, *lines) + b"{}" + SMUGGLED)

            wire.receive("POST").problem(400)
            assert wire.receive_raw(1) == b""


def test_early_refusal_with_an_offer_leaves_the_body_a_body(server: Server) -> None:
    lines = (JSON, *H2C, b"Content-Length: %d" % len(SMUGGLED))
    with Wire(server) as wire:
        wire.send(head("POST /conversations", *lines, token=False))
        wire.receive("POST").problem(401)
        wire.send(SMUGGLED + head("GET /nothing", token=False))

        wire.receive().problem(404)
    with Wire(server) as wire:
        wire.send(head("POST /conversations", JSON, *H2C, b"Content-Length: 10000000") + SMUGGLED)

        wire.receive("POST").problem(413)
        assert wire.receive_raw(1) == b""


def test_expect_100_continue_with_an_offer(server: Server) -> None:
    lines = (JSON, *H2C, b"Expect: 100-continue", b"Content-Length: 2")
    with Wire(server) as wire:
        for _ in range(2):
            wire.send(head("POST /conversations", *lines))
            assert wire.receive_raw(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            wire.send(b"{}")
            assert wire.receive("POST").status == 201
        wire.send(head("POST /conversations", *lines, token=False))

        assert wire.receive("POST").problem(401)
        assert wire.receive_raw(1) == b""


def test_connection_closes_if_the_client_asks_for_it(server: Server) -> None:
    raw = head("POST /conversations", JSON, *H2C, b"Content-Length: 2") + b"{}"
    for request in (
        raw.replace(b"Upgrade, HTTP2", b"close, Upgrade, HTTP2"),
        raw.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ):
        with Wire(server) as wire:
            wire.send(request + SMUGGLED)

            answer = wire.receive("POST")
            assert (answer.status, answer.headers["connection"]) == (201, "close")
            assert wire.receive_raw(1) == b""


def test_head_limit_applies_to_each_request_with_an_offer(server: Server) -> None:
    request = head("GET /nothing", *H2C, b"X-Long: " + b"a" * 40_000)
    with Wire(server) as wire:
        for _ in range(3):
            wire.send(request)
            wire.receive().problem(404)
    ask(server, request.replace(b"aaaa", b"aaaaaaaa")).problem(431)


def test_pipeline_of_offers_is_limited(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(head("GET /nothing", *H2C, token=False) * 50)
        for _ in range(17):
            wire.receive().problem(404)

        assert wire.receive_raw(1) == b""


def test_connect_is_refused_and_nothing_after_it_runs(server: Server) -> None:
    """What follows CONNECT belongs to a tunnel (RFC 9110 section 9.3.6)."""
    length = b"Content-Length: %d" % len(SMUGGLED)
    for lines in ((), H2C, (length,), (*H2C, length)):
        with case(lines), Wire(server) as wire:
            wire.send(head("CONNECT elsewhere.example:443", *lines) + SMUGGLED)

            wire.receive("CONNECT").problem(400)
            assert wire.receive_raw(1) == b""


def test_http_2_preface_is_refused(server: Server) -> None:
    """Clients send it without an offer if they know that a server speaks HTTP/2."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    ask(server, preface).problem(400)
    with Wire(server) as wire:
        wire.send(head("GET /nothing", *H2C) + preface)

        wire.receive().problem(404)
        assert wire.receive_raw(1) == b""
