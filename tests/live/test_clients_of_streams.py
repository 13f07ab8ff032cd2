"""Streams, and clients and proxies that are old, slow, or gone."""

import signal
import statistics
import time
from itertools import islice
from pathlib import Path

import httpx
import pytest

from tests.live.following import append, end, following, frames, running, texts, word
from tests.servers import Server, start_server
from tests.wire import Wire


def test_http_1_0_client_gets_a_stream_without_chunks(alice: httpx.Client, server: Server) -> None:
    run = running(alice)
    append(alice, run, word("a" * 20_000), word("b"))
    end(alice, run)
    head = (
        f"GET /runs/{run['id']}/events/stream HTTP/1.0\r\n"
        f"Authorization: {alice.headers['authorization']}\r\n\r\n"
    )

    with Wire(server) as wire:
        wire.send(head.encode())
        response = wire.receive()

    assert response.status == 200
    assert "transfer-encoding" not in response.headers
    assert response.headers["connection"] == "close"
    events = list(frames(response.content.decode().split("\n")))
    assert [event.id for event in events] == [1, 2, 3, 4]
    assert texts(events) == ["a" * 20_000, "b"]


@pytest.mark.process
def test_streams_end_when_the_server_stops(database_url: str, tmp_path: Path) -> None:
    with (
        start_server(database_url, tmp_path, grace_seconds="600") as stopping,
        stopping.client("maria") as maria,
    ):
        run = running(maria)
        with following(maria, run) as events:
            assert next(events).event == "run.started"
            stopping.process.send_signal(signal.SIGTERM)
            rest = list(events)  # without an error: the last chunk has come
            stopping.process.wait(60)  # longer if the server waited for streams

    assert rest == []
    assert stopping.process.returncode == 0
    assert "unfinished" not in stopping.log.read_text()


@pytest.mark.process
def test_stream_that_the_other_node_wakes(database_url: str, tmp_path: Path) -> None:
    with (
        start_server(database_url, tmp_path) as one,
        start_server(database_url, tmp_path) as other,
        one.client("maria") as reader,
        other.client("maria") as writer,
    ):
        run = running(reader)
        with following(reader, run) as events:
            next(events)
            delays = []
            for _ in range(10):
                append(writer, run, word("a"))
                written = time.monotonic()
                next(events)
                delays.append(time.monotonic() - written)
            end(writer, run)
            assert [event.event for event in events] == ["run.ended"]

    assert statistics.median(delays) < 1


def test_slow_reader_is_disconnected_and_others_go_on(alice: httpx.Client, server: Server) -> None:
    """The server keeps no more than a page for a client that does not read."""
    run = running(alice)
    for _ in range(40):
        append(alice, run, word("x" * 500_000))
    head = (
        f"GET /runs/{run['id']}/events/stream HTTP/1.1\r\nHost: api\r\n"
        f"Authorization: {alice.headers['authorization']}\r\n\r\n"
    )
    with Wire(server, window=4096) as slow:
        slow.send(head.encode())
        with following(alice, run) as events:
            assert len(list(islice(events, 41))) == 41
        assert slow.receive_raw(1) == b"H"
