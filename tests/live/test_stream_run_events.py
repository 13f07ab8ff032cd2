"""stream_run_events."""

import time
from itertools import islice

import httpx
import pytest

from tests.calls import new_run
from tests.contract import assert_problem
from tests.live.following import append, end, following, frames, running, texts, word
from tests.servers import Server, sign


def test_stream_run_events_delivers_events_as_they_come(alice: httpx.Client) -> None:
    run = new_run(alice)
    with following(alice, run) as events:
        append(alice, run, word("a"))
        first = next(events)
        append(alice, run, word("b"), {"type": "tool.call", "data": {"name": "search"}})
        second, third = islice(events, 2)
        ended = end(alice, run, "cancelled")
        rest = list(events)

    assert (first.id, first.event, first.data) == (1, "text.delta", {"text": "a"})
    assert (second.id, third.id, third.event) == (2, 3, "tool.call")
    assert [(event.id, event.event, event.data) for event in rest] == [(4, "run.ended", ended)]


@pytest.mark.parametrize(
    "position",
    [{"after": 2}, {"last_event_id": 2, "after": 0}, {"last_event_id": "", "after": 2}],
)
def test_stream_run_events_resumes(alice: httpx.Client, position: dict[str, int]) -> None:
    run = new_run(alice)
    append(alice, run, *map(word, "abcd"))
    end(alice, run, "failed")

    with following(alice, run, **position) as events:
        received = list(events)

    assert [event.id for event in received] == [3, 4, 5]
    assert texts(received) == ["c", "d"]


def test_stream_run_events_as_messages(alice: httpx.Client) -> None:
    run = new_run(alice)
    append(alice, run, word("a"))
    end(alice, run, "failed")

    with following(alice, run, format="message") as events:
        first, last = events

    assert (first.id, first.event) == (1, "message")
    assert first.data == {"sequence": 1, "type": "text.delta", "data": {"text": "a"}}
    assert last.data["type"] == "run.ended"


def test_stream_run_events_after_the_end_tells_clients_to_stop(alice: httpx.Client) -> None:
    run = running(alice)
    end(alice, run)

    for after in (2, 99):
        response = alice.get(f"/runs/{run['id']}/events/stream", params={"after": after})
        assert (response.status_code, response.content) == (204, b"")


def test_stream_run_events_beyond_the_end_waits_for_later_events(alice: httpx.Client) -> None:
    run = new_run(alice)
    append(alice, run, word("a"))
    with following(alice, run, after=2) as events:
        append(alice, run, word("b"), word("c"))
        assert next(events).data == {"text": "c"}


def test_stream_has_headers_against_buffering(alice: httpx.Client) -> None:
    run = new_run(alice)

    response = alice.head(f"/runs/{run['id']}/events/stream")

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-store, no-transform"
    assert response.content == b""


@pytest.mark.parametrize("last_event_id", ["x", "-1", "1.5", "9" * 30])
def test_stream_run_events_refuses_other_positions(alice: httpx.Client, last_event_id: str) -> None:
    run = new_run(alice)
    path = f"/runs/{run['id']}/events/stream"

    response = alice.get(path, headers={"Last-Event-ID": last_event_id})

    assert_problem(response, 422)


def test_many_readers_from_any_position_get_the_same_events(alice: httpx.Client) -> None:
    run = new_run(alice)
    streams = []
    for number in range(12):
        if number % 3 == 0:
            append(alice, run, *[word(str(number))] * 3)
        opened = following(alice, run, after=number % 5)
        streams.append((number % 5, opened, opened.__enter__()))
    append(alice, run, *map(word, "xyz"))
    end(alice, run, "failed")

    received = [(after, list(events)) for after, _, events in streams]
    for _, opened, _ in streams:
        opened.__exit__(None, None, None)

    for after, events in received:
        assert [event.id for event in events] == list(range(after + 1, 17))


def test_stream_reads_more_than_one_page(alice: httpx.Client) -> None:
    run = new_run(alice)
    for n in range(6):
        append(alice, run, *[word(f"{n}")] * 200)
    end(alice, run, "failed")

    with following(alice, run) as events:
        assert [event.id for event in events] == list(range(1, 1202))


@pytest.mark.slow
def test_stream_ends_when_the_token_expires(alice: httpx.Client, server: Server) -> None:
    run = running(alice)
    claims = alice.get(f"/runs/{run['id']}").json()
    token = sign(claims["created_by"], seconds=5)

    started = time.monotonic()
    headers = {"Authorization": f"Bearer {token}"}
    path = f"{server.url}/runs/{run['id']}/events/stream"
    with httpx.stream("GET", path, headers=headers, timeout=30) as response:
        received = list(frames(response.iter_lines()))

    assert [event.event for event in received] == ["run.started"]
    assert time.monotonic() - started < 30


def test_user_can_open_100_streams_and_not_more(alice: httpx.Client, bob: httpx.Client) -> None:
    run = running(alice)
    path = f"/runs/{run['id']}/events/stream"
    limits = httpx.Limits(max_connections=200)
    with httpx.Client(
        base_url=alice.base_url, headers=alice.headers, limits=limits, timeout=30
    ) as many:
        opened = [many.stream("GET", path) for _ in range(100)]
        streams = [each.__enter__() for each in opened]
        events = [frames(stream.iter_lines()) for stream in streams]
        assert {next(each).event for each in events} == {"run.started"}

        one_more = alice.get(path)
        others = running(bob)
        with following(bob, others) as own:
            assert next(own).event == "run.started"
        append(alice, run, word("for all"))
        assert [next(each).data for each in events] == [{"text": "for all"}] * 100
        for each in opened:
            each.__exit__(None, None, None)

    assert_problem(one_more, 429)
    assert one_more.json()["type"] == "/problems/too-many-streams"
    deadline = time.monotonic() + 60
    while alice.head(path).status_code != 200:  # the server notices closed connections later
        assert time.monotonic() < deadline
        time.sleep(0.1)
