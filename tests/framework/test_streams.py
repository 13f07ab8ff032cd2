"""Handlers that return streams."""

import threading

import httpx
import pytest

from tests.framework.parcels import SECRET_DETAIL, STREAMS, ObservedStream

KINDS = pytest.mark.parametrize("kind", ["plain", "async"])


@pytest.fixture
def observed() -> ObservedStream:
    """A stream that the handler finds by its name."""
    new = ObservedStream()
    STREAMS[new.name] = new
    return new


@KINDS
def test_stream_is_sent_in_chunks_and_not_validated(
    client: httpx.Client, observed: ObservedStream, kind: str
) -> None:
    with client.stream("GET", f"/tracking/{kind}-{observed.name}") as response:
        chunks = response.iter_raw()
        first = next(chunks)
        sent_by_then = observed.sent
        observed.may_continue.set()
        rest = b"".join(chunks)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    assert first == b"[1]\n"
    assert sent_by_then == 1, "the first chunk did not arrive before the second was sent"
    assert rest == b"[2]\n[3]\n"
    assert observed.ended.is_set()


@KINDS
def test_stream_ends_when_the_client_disconnects(
    client: httpx.Client, observed: ObservedStream, kind: str
) -> None:
    with client.stream("GET", f"/tracking/{kind}-{observed.name}") as response:
        next(response.iter_raw())

    assert observed.ended.wait(5), "the generator was not closed"
    assert observed.sent == 1


@KINDS
def test_head_of_stream_sends_no_content(
    client: httpx.Client, observed: ObservedStream, kind: str
) -> None:
    response = client.head(f"/tracking/{kind}-{observed.name}")
    afterwards = client.get("/greeting")  # on the same connection, so the first request has ended

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    assert observed.sent <= 1
    assert afterwards.status_code == 200


def test_failing_stream_is_aborted_and_logged(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(httpx.RemoteProtocolError), client.stream("GET", "/tracking/broken-") as cut:
        cut.read()

    assert cut.status_code == 200
    assert SECRET_DETAIL in caplog.text


def test_slow_streams_do_not_block_other_requests(client: httpx.Client) -> None:
    """There are more streams than threads."""
    streams = [ObservedStream() for _ in range(8)]
    STREAMS.update({observed.name: observed for observed in streams})
    arrived = threading.Barrier(9)

    def hold(observed: ObservedStream) -> None:
        with client.stream("GET", f"/tracking/plain-{observed.name}") as response:
            next(response.iter_raw())
            arrived.wait(10)
            arrived.wait(10)

    threads = [threading.Thread(target=hold, args=(observed,)) for observed in streams]
    for thread in threads:
        thread.start()
    arrived.wait(10)
    answer = client.get("/parcels/right")
    arrived.wait(10)
    for thread in threads:
        thread.join()

    assert answer.status_code == 200
