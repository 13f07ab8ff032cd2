"""Runs over HTTP: the moves that make sense and no others, and what each leaves behind."""

from typing import Any

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    TIME,
    Json,
    change,
    get_conversation,
    nested,
    new_conversation,
    new_run,
    post_message,
    read,
    refusals,
    short,
)

ENDS = ("succeeded", "failed", "timeout", "cancelled")
STATUSES = ("pending", "running", *ENDS)
MOVES = {
    *(("pending", status) for status in ("running", "failed", "timeout", "cancelled")),
    *(("running", end) for end in ENDS),
}
OBJECTS: dict[str, Json] = {
    "empty": {},
    "some": {"message_id": NOBODYS_ID, "options": [1, 0.5, None, {"ключ": "🔑"}]},
    "deep": nested(99),
}


def run_that_is(client: httpx.Client, status: str) -> Json:
    """Return a new run, led to `status` by moves that are allowed."""
    run = new_run(client, status="pending" if status == "pending" else "running")
    return change(client, f"/runs/{run['id']}", status=status) if status in ENDS else run


@pytest.mark.parametrize(
    "optional", [{}, dict.fromkeys(("conversation_id", "status", "input"))], ids=["absent", "null"]
)
def test_create_run_says_the_defaults(alice: httpx.Client, optional: Json) -> None:
    run = new_run(alice, agent_id="document-agent", **optional)

    nulls = ("conversation_id", "input", "output", "error", "started_at", "finished_at")
    assert run == {
        "id": run["id"],
        "agent_id": "document-agent",
        "status": "pending",
        "created_by": run["created_by"],
        "created_at": run["created_at"],
        "updated_at": run["created_at"],
    } | dict.fromkeys(nulls)
    assert TIME.fullmatch(run["created_at"])
    assert read(alice, f"/runs/{run['id']}") == run


def test_create_run_that_is_running_has_started(alice: httpx.Client) -> None:
    run = new_run(alice, status="running")

    assert run["status"] == "running"
    assert run["started_at"] == run["created_at"]
    assert run["finished_at"] is None


@pytest.mark.parametrize("given", OBJECTS.values(), ids=OBJECTS)
def test_create_run_keeps_any_input(alice: httpx.Client, given: Json) -> None:
    run = new_run(alice, input=given)

    assert run["input"] == given
    assert read(alice, f"/runs/{run['id']}") == run
    assert read(alice, "/runs")["runs"] == [run]


@pytest.mark.parametrize("agent_id", ["a", "x" * 255, "🚀" * 255, "وكيل  المستندات"], ids=short)
def test_create_run_keeps_any_agent(alice: httpx.Client, agent_id: str) -> None:
    run = new_run(alice, agent_id=agent_id)

    assert read(alice, "/runs", agent_id=agent_id)["runs"] == [run]
    assert run["agent_id"] == agent_id


def test_create_run_does_not_change_its_conversation(
    alice: httpx.Client, conversation: Json
) -> None:
    run = new_run(alice, conversation_id=conversation["id"].upper())

    assert run["conversation_id"] == conversation["id"]
    assert read(alice, "/runs", conversation_id=conversation["id"])["runs"] == [run]
    assert get_conversation(alice, conversation) == conversation


def test_create_run_says_where_it_is(alice: httpx.Client) -> None:
    response = alice.post("/runs", json={"agent_id": "document-agent"})

    location = response.headers["location"]
    assert location == f"/runs/{response.json()['id']}"
    assert read(alice, location) == response.json()


def test_create_run_ignores_what_it_does_not_know(alice: httpx.Client, bob: httpx.Client) -> None:
    unknown = {
        "id": NOBODYS_ID,
        "created_by": new_run(bob)["created_by"],
        "created_at": "1999-12-31T23:59:59.000000Z",
        "started_at": "1999-12-31T23:59:59.000000Z",
        "output": {"too": "early"},
        "error": "too early",
        "priority": 9,
    }

    run = new_run(alice, **unknown)

    assert run == new_run(alice) | {name: run[name] for name in ("id", "created_at", "updated_at")}
    assert run["id"] != NOBODYS_ID
    assert run["created_at"] > "2024"


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"agent_id": None}, "/agent_id"),
        ({"agent_id": ""}, "/agent_id"),
        ({"agent_id": "x" * 256}, "/agent_id"),
        ({"agent_id": 7}, "/agent_id"),
        ({"input": []}, "/input"),
        ({"input": "text"}, "/input"),
        ({"conversation_id": "mine"}, "/conversation_id"),
        ({"status": "started"}, "/status"),
        *(({"status": end}, "/status") for end in ENDS),
    ],
)
def test_create_run_refuses_a_wrong_value(alice: httpx.Client, wrong: Json, pointer: str) -> None:
    response = alice.post("/runs", json={"agent_id": "document-agent"} | wrong)

    assert refusals(response) == {("body", pointer)}
    assert read(alice, "/runs")["total"] == 0


def test_create_run_needs_an_agent(alice: httpx.Client) -> None:
    assert refusals(alice.post("/runs", json={})) == {("body", "/agent_id")}


def test_create_run_refuses_a_conversation_that_is_not_there(alice: httpx.Client) -> None:
    response = alice.post("/runs", json={"agent_id": "a", "conversation_id": NOBODYS_ID})

    assert refusals(response) == {("body", "/conversation_id")}
    assert read(alice, "/runs")["total"] == 0


def test_create_run_refuses_the_conversation_of_another_user(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    body = {"agent_id": "a", "conversation_id": new_conversation(bob)["id"]}

    response = alice.post("/runs", json=body)

    assert refusals(response) == {("body", "/conversation_id")}
    assert read(bob, "/runs")["total"] == 0


def test_get_run_finds_nothing(alice: httpx.Client) -> None:
    assert alice.get(f"/runs/{NOBODYS_ID}").status_code == 404


def test_update_run_finds_nothing(alice: httpx.Client) -> None:
    assert alice.patch(f"/runs/{NOBODYS_ID}", json={"status": "running"}).status_code == 404


def test_get_run_takes_an_id_in_capitals(alice: httpx.Client) -> None:
    run = new_run(alice)

    assert read(alice, f"/runs/{run['id'].upper()}") == run


@pytest.mark.parametrize("after", STATUSES)
@pytest.mark.parametrize("before", STATUSES)
def test_update_run_makes_only_moves_that_make_sense(
    alice: httpx.Client, before: str, after: str
) -> None:
    run = run_that_is(alice, before)

    response = alice.patch(f"/runs/{run['id']}", json={"status": after, "error": "said with it"})

    now = read(alice, f"/runs/{run['id']}")
    if before != after and (before, after) not in MOVES:
        assert response.status_code == 409
        assert response.json()["type"] == "/problems/conflict"
        assert now == run
        return
    assert response.status_code == 200
    assert response.json() == now
    assert (now["status"], now["error"]) == (after, "said with it")
    assert now["updated_at"] > run["updated_at"]
    starts = before == "pending" and after == "running"
    ends = before not in ENDS and after in ENDS
    assert now["started_at"] == (now["updated_at"] if starts else run["started_at"])
    assert now["finished_at"] == (now["updated_at"] if ends else run["finished_at"])
    assert now["created_at"] == run["created_at"]


def test_update_run_tells_a_whole_life(alice: httpx.Client, conversation: Json) -> None:
    run = new_run(alice, conversation_id=conversation["id"], input={"question": 1})
    path = f"/runs/{run['id']}"

    started = change(alice, path, status="running")
    noted = change(alice, path, output={"so": "far"})
    ended = change(alice, path, status="succeeded", output={"cheaper": "harbour_street"})

    assert started["started_at"] == started["updated_at"]
    assert noted["started_at"] == ended["started_at"] == started["started_at"]
    assert ended["finished_at"] == ended["updated_at"]
    times = [run["created_at"], *(step["updated_at"] for step in (started, noted, ended))]
    assert times == sorted(set(times))
    assert ended == run | {
        "status": "succeeded",
        "output": {"cheaper": "harbour_street"},
        "updated_at": times[-1],
        "started_at": times[1],
        "finished_at": times[-1],
    }


def test_update_run_of_one_that_never_started_leaves_no_start(alice: httpx.Client) -> None:
    run = new_run(alice)

    cancelled = change(alice, f"/runs/{run['id']}", status="cancelled")

    assert cancelled["started_at"] is None
    assert cancelled["finished_at"] == cancelled["updated_at"]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("output", {}),
        ("output", {"ключ": [1, None, "🔑"]}),
        ("error", ""),
        ("error", "🚀" * 65_536),
        ("output", None),
        ("error", None),
    ],
    ids=["empty output", "output", "empty error", "long error", "no output", "no error"],
)
def test_update_run_changes_what_it_names_in_any_status(
    alice: httpx.Client, status: str, name: str, value: Any
) -> None:
    run = run_that_is(alice, status)
    path = f"/runs/{run['id']}"
    before = change(alice, path, output={"old": 1}, error="old")

    after = change(alice, path, **{name: value})

    assert after == before | {name: value, "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]
    assert read(alice, path) == after


def test_update_run_keeps_an_output_as_deep_as_may_be(alice: httpx.Client) -> None:
    run = new_run(alice)

    assert change(alice, f"/runs/{run['id']}", output=nested(99))["output"] == nested(99)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", [{}, {"status": None}, {"agent_id": "other", "input": {}}])
def test_update_run_leaves_it_as_it_is(alice: httpx.Client, status: str, body: Json) -> None:
    run = run_that_is(alice, status)

    assert change(alice, f"/runs/{run['id']}", **body) == run
    assert read(alice, f"/runs/{run['id']}") == run


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"status": "done"}, "/status"),
        ({"status": 1}, "/status"),
        ({"output": []}, "/output"),
        ({"output": "text"}, "/output"),
        ({"error": {}}, "/error"),
        ({"error": "x" * 65_537}, "/error"),
    ],
)
def test_update_run_refuses_a_wrong_value_and_changes_nothing(
    alice: httpx.Client, wrong: Json, pointer: str
) -> None:
    run = new_run(alice)
    body = {"status": "running", "output": {"a": 1}, "error": "e"} | wrong

    response = alice.patch(f"/runs/{run['id']}", json=body)

    assert refusals(response) == {("body", pointer)}
    assert read(alice, f"/runs/{run['id']}") == run


def test_update_run_that_is_refused_keeps_the_rest_too(alice: httpx.Client) -> None:
    run = run_that_is(alice, "failed")

    response = alice.patch(f"/runs/{run['id']}", json={"status": "running", "error": "again"})

    assert response.status_code == 409
    assert "failed" in response.json()["detail"]
    assert read(alice, f"/runs/{run['id']}") == run


def test_update_run_does_not_change_its_conversation(
    alice: httpx.Client, conversation: Json
) -> None:
    run = new_run(alice, conversation_id=conversation["id"])
    post_message(alice, conversation, "Hello", run_id=run["id"])
    before = get_conversation(alice, conversation)

    change(alice, f"/runs/{run['id']}", status="running")

    assert get_conversation(alice, conversation) == before


def test_list_runs_holds_the_users_own(alice: httpx.Client, bob: httpx.Client) -> None:
    mine, theirs = new_run(alice), new_run(bob)

    assert read(alice, "/runs")["runs"] == [mine]
    assert read(bob, "/runs")["runs"] == [theirs]


def test_list_runs_says_its_defaults(alice: httpx.Client) -> None:
    expected: Json = {"runs": [], "total": 0, "limit": 50, "offset": 0, "next_cursor": None}

    assert read(alice, "/runs") == expected
