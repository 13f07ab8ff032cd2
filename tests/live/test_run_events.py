"""append_run_events and list_run_events."""

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.calls import NOBODYS_ID, change, new_run, read
from tests.contract import assert_problem
from tests.live.following import append, end, running, texts, word


def test_append_run_events_numbers_events_from_one(alice: httpx.Client) -> None:
    run = new_run(alice)

    first = append(alice, run, word("a"), word("b"))
    second = append(alice, run, word("c"))

    assert first == {"first_sequence": 1, "last_sequence": 2}
    assert second == {"first_sequence": 3, "last_sequence": 3}
    page = read(alice, f"/runs/{run['id']}/events")
    assert [event["sequence"] for event in page["events"]] == [1, 2, 3]
    assert texts(page["events"]) == ["a", "b", "c"]
    assert (page["last_sequence"], page["status"], page["limit"]) == (3, "pending", 100)


def test_append_run_events_keeps_data_as_it_was_sent(alice: httpx.Client) -> None:
    run = new_run(alice)
    data = {"z": 1, "a": [1.50, 1e308, None, {"": "\u2028é\r\n🎉"}], "run.started": True}

    append(alice, run, {"type": "tool call\u2028", "data": data, "transient": None})

    (event,) = read(alice, f"/runs/{run['id']}/events")["events"]
    assert json.dumps(event["data"]) == json.dumps(data)
    assert (event["type"], event["transient"]) == ("tool call\u2028", False)


def test_run_with_a_new_status_gets_an_event(alice: httpx.Client) -> None:
    run = new_run(alice)
    started = change(alice, f"/runs/{run['id']}", status="running")
    change(alice, f"/runs/{run['id']}", status="running", output={"so": "far"})
    append(alice, run, word("a"))
    ended = end(alice, run, "failed")

    page = read(alice, f"/runs/{run['id']}/events")

    assert [e["type"] for e in page["events"]] == ["run.started", "text.delta", "run.ended"]
    assert page["events"][0]["data"] == started
    assert page["events"][2]["data"] == ended
    assert (page["last_sequence"], page["status"]) == (3, "failed")


def test_events_do_not_change_the_run(alice: httpx.Client) -> None:
    run = running(alice)
    tag = alice.get(f"/runs/{run['id']}").headers["etag"]

    append(alice, run, word("a"))

    assert alice.get(f"/runs/{run['id']}").headers["etag"] == tag


@pytest.mark.parametrize("status", ["succeeded", "failed", "timeout", "cancelled"])
def test_append_run_events_to_an_ended_run_is_a_conflict(alice: httpx.Client, status: str) -> None:
    run = running(alice)
    end(alice, run, status)

    response = alice.post(f"/runs/{run['id']}/events", json={"events": [word("late")]})

    assert status in assert_problem(response, 409)["detail"]
    assert read(alice, f"/runs/{run['id']}/events")["last_sequence"] == 2


@pytest.mark.parametrize("after", [0, 2, 4, 5, 7])
def test_append_run_events_after_another_event_is_a_conflict(
    alice: httpx.Client, after: int
) -> None:
    """With two events, `after` 2 would be right for numbers that already exist."""
    run = new_run(alice)
    append(alice, run, *map(word, "abc"))
    before = read(alice, f"/runs/{run['id']}/events")

    body = {"events": [word("x"), word("y")], "after": after}
    response = alice.post(f"/runs/{run['id']}/events", json=body)

    assert assert_problem(response, 409)["type"] == "/problems/conflict"
    assert read(alice, f"/runs/{run['id']}/events") == before


def test_append_run_events_after_the_last_event(alice: httpx.Client) -> None:
    run = new_run(alice)

    append(alice, run, word("a"), after=0)
    append(alice, run, word("b"), word("c"), after=1)

    assert texts(read(alice, f"/runs/{run['id']}/events")["events"]) == ["a", "b", "c"]


def test_append_run_events_with_a_key_appends_once(alice: httpx.Client) -> None:
    run = new_run(alice)
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"events": [word("once")]}

    responses = [
        alice.post(f"/runs/{run['id']}/events", json=body, headers=headers) for _ in range(2)
    ]

    assert [response.status_code for response in responses] == [201, 201]
    assert responses[0].content == responses[1].content
    assert read(alice, f"/runs/{run['id']}/events")["last_sequence"] == 1


def test_concurrent_writers_get_numbers_without_gaps(alice: httpx.Client) -> None:
    run = new_run(alice)
    lock = threading.Lock()
    numbers: list[int] = []

    def write(writer: int) -> None:
        for n in range(10):
            given = append(alice, run, *[word(f"{writer} {n}")] * (1 + n % 3))
            with lock:
                numbers.extend(range(given["first_sequence"], given["last_sequence"] + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))

    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert read(alice, f"/runs/{run['id']}/events")["last_sequence"] == len(numbers)


def test_list_run_events_continues_after_a_number(alice: httpx.Client) -> None:
    run = new_run(alice)
    append(alice, run, *map(word, "abcde"))
    path = f"/runs/{run['id']}/events"

    first = read(alice, path, limit=2)
    second = read(alice, path, limit=2, after=first["events"][-1]["sequence"])
    beyond = read(alice, path, after=99)

    assert texts(first["events"] + second["events"]) == ["a", "b", "c", "d"]
    assert (beyond["events"], beyond["last_sequence"]) == ([], 5)


@pytest.mark.parametrize(
    "events",
    [
        [],
        [word("a")] * 201,
        [{"type": "run.ended", "data": {}}],
        [{"type": "", "data": {}}],
        [{"type": "x" * 101, "data": {}}],
        [{"type": "a\nb", "data": {}}],
        [{"type": "a\rb", "data": {}}],
        [{"type": "a"}],
        [{"type": "a", "data": []}],
        [{"type": "a", "data": {"nul": "\0"}}],
        [{"type": "a", "data": {}, "transient": "yes"}],
        "words",
        None,
    ],
)
def test_append_run_events_refuses_invalid_events(alice: httpx.Client, events: object) -> None:
    run = new_run(alice)

    response = alice.post(f"/runs/{run['id']}/events", json={"events": events})

    assert_problem(response, 422)
    assert read(alice, f"/runs/{run['id']}/events")["last_sequence"] == 0


def test_events_of_another_user_are_forbidden(alice: httpx.Client, bob: httpx.Client) -> None:
    run = running(alice)
    path = f"/runs/{run['id']}/events"
    body = {"events": [word("hello")]}

    assert_problem(bob.get(path), 403)
    assert_problem(bob.post(path, json=body), 403)
    assert_problem(bob.get(f"{path}/stream"), 403)
    assert read(alice, path)["last_sequence"] == 1
    for method, end_of_path in (("GET", ""), ("POST", ""), ("GET", "/stream")):
        missing = f"/runs/{NOBODYS_ID}/events{end_of_path}"
        assert_problem(alice.request(method, missing, json=body), 404)


def test_event_of_64_kib_and_a_page_of_large_events(alice: httpx.Client) -> None:
    run = new_run(alice)
    large = "x" * 65_536
    for _ in range(3):
        append(alice, run, *[word(large)] * 10)

    page = read(alice, f"/runs/{run['id']}/events", limit=500)

    assert texts(page["events"]) == [large] * 30
