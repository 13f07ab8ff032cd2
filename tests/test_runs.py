"""Creating, reading, changing and listing runs over HTTP, and the allowed status changes."""

from itertools import product

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
from tests.contract import CONTRACT

FINAL = ("succeeded", "failed", "timeout", "cancelled")
STATUSES = ("pending", "running", *FINAL)
CHANGES = {
    *((status, status) for status in STATUSES),
    *(("pending", status) for status in ("running", "failed", "timeout", "cancelled")),
    *(("running", end) for end in FINAL),
}
OBJECTS: dict[str, Json] = {
    "empty": {},
    "some": {"message_id": NOBODYS_ID, "options": [1, 0.5, None, {"ключ": "🔑"}]},
    "deepest allowed": nested(99),
}


def run_with(client: httpx.Client, status: str) -> Json:
    """Create a run and bring it to `status` by allowed changes."""
    run = new_run(client, status="pending" if status == "pending" else "running")
    return change(client, f"/runs/{run['id']}", status=status) if status in FINAL else run


@pytest.mark.parametrize(
    "optional", [{}, dict.fromkeys(("conversation_id", "status", "input"))], ids=["absent", "null"]
)
def test_create_run_applies_defaults(alice: httpx.Client, optional: Json) -> None:
    run = new_run(alice, agent_id="document-agent", **optional)

    defaults = {"status": "pending", "updated_at": run["created_at"]}
    nulls = ("conversation_id", "input", "output", "error", "started_at", "finished_at")
    assert run == run | {"agent_id": "document-agent"} | defaults | dict.fromkeys(nulls)
    assert run.keys() == CONTRACT["components"]["schemas"]["Run"]["properties"].keys()
    assert TIME.fullmatch(run["created_at"])
    assert read(alice, f"/runs/{run['id']}") == run


def test_create_run_as_running_sets_its_start(alice: httpx.Client) -> None:
    run = new_run(alice, status="running")

    assert run["status"] == "running"
    assert run["started_at"] == run["created_at"]
    assert run["finished_at"] is None


def test_create_run_stores_any_input(alice: httpx.Client, subtests: pytest.Subtests) -> None:
    for kind, given in OBJECTS.items():
        with subtests.test(kind):
            run = new_run(alice, input=given)
            assert run["input"] == given
            assert read(alice, f"/runs/{run['id']}") == run
            assert read(alice, "/runs")["runs"][0] == run


def test_create_run_stores_any_agent_id(alice: httpx.Client, subtests: pytest.Subtests) -> None:
    for agent_id in ("a", "x" * 255, "🚀" * 255, "وكيل  المستندات"):
        with subtests.test(short(agent_id)):
            run = new_run(alice, agent_id=agent_id)
            assert read(alice, "/runs", agent_id=agent_id)["runs"] == [run]
            assert run["agent_id"] == agent_id


def test_create_run_keeps_its_conversation_unchanged(
    alice: httpx.Client, conversation: Json
) -> None:
    run = new_run(alice, conversation_id=conversation["id"].upper())

    assert run["conversation_id"] == conversation["id"]
    assert read(alice, "/runs", conversation_id=conversation["id"])["runs"] == [run]
    assert get_conversation(alice, conversation) == conversation


def test_create_run_returns_its_location(alice: httpx.Client) -> None:
    response = alice.post("/runs", json={"agent_id": "document-agent"})

    location = response.headers["location"]
    assert location == f"/runs/{response.json()['id']}"
    assert read(alice, location) == response.json()


def test_create_run_ignores_unknown_properties(alice: httpx.Client, bob: httpx.Client) -> None:
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
        *(({"status": end}, "/status") for end in FINAL),
    ],
)
def test_create_run_rejects_wrong_values(alice: httpx.Client, wrong: Json, pointer: str) -> None:
    response = alice.post("/runs", json={"agent_id": "document-agent"} | wrong)

    assert refusals(response) == {("body", pointer)}
    assert read(alice, "/runs")["total"] == 0


def test_create_run_requires_an_agent_id(alice: httpx.Client) -> None:
    assert refusals(alice.post("/runs", json={})) == {("body", "/agent_id")}


def test_create_run_rejects_the_conversation_of_nobody_or_of_another_user(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    for conversation_id in (NOBODYS_ID, new_conversation(bob)["id"]):
        body = {"agent_id": "a", "conversation_id": conversation_id}

        response = alice.post("/runs", json=body)

        assert refusals(response) == {("body", "/conversation_id")}
    assert read(alice, "/runs")["total"] == read(bob, "/runs")["total"] == 0


def test_unknown_run_is_not_found(alice: httpx.Client) -> None:
    assert alice.get(f"/runs/{NOBODYS_ID}").status_code == 404
    assert alice.patch(f"/runs/{NOBODYS_ID}", json={"status": "running"}).status_code == 404


def test_get_run_accepts_an_uppercase_id(alice: httpx.Client) -> None:
    run = new_run(alice)

    assert read(alice, f"/runs/{run['id'].upper()}") == run


def test_update_run_allows_only_the_documented_status_changes(
    alice: httpx.Client, subtests: pytest.Subtests
) -> None:
    for before, after in product(STATUSES, STATUSES):
        with subtests.test(before=before, after=after):
            assert_changes_as_documented(alice, before, after)


def assert_changes_as_documented(client: httpx.Client, before: str, after: str) -> None:
    """Change the status of a run that is `before`; check the response and the stored run."""
    run = run_with(client, before)

    response = client.patch(f"/runs/{run['id']}", json={"status": after, "error": "its reason"})

    now = read(client, f"/runs/{run['id']}")
    if (before, after) not in CHANGES:
        assert response.status_code == 409
        assert response.json()["type"] == "/problems/conflict"
        assert now == run
        return
    assert response.status_code == 200
    assert response.json() == now
    assert (now["status"], now["error"]) == (after, "its reason")
    assert now["updated_at"] > run["updated_at"]
    starts = before == "pending" and after == "running"
    ends = before not in FINAL and after in FINAL
    assert now["started_at"] == (now["updated_at"] if starts else run["started_at"])
    assert now["finished_at"] == (now["updated_at"] if ends else run["finished_at"])
    assert now["created_at"] == run["created_at"]


def test_update_run_records_each_step(alice: httpx.Client, conversation: Json) -> None:
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


def test_update_run_cancels_a_pending_run_without_a_start(alice: httpx.Client) -> None:
    run = new_run(alice)

    cancelled = change(alice, f"/runs/{run['id']}", status="cancelled")

    assert cancelled["started_at"] is None
    assert cancelled["finished_at"] == cancelled["updated_at"]


@pytest.mark.parametrize("status", STATUSES)
def test_update_run_changes_output_and_error_in_any_status(
    alice: httpx.Client, subtests: pytest.Subtests, status: str
) -> None:
    path = f"/runs/{run_with(alice, status)['id']}"
    for name, value in [
        ("output", {}),
        ("output", {"ключ": [1, None, "🔑"]}),
        ("output", None),
        ("error", ""),
        ("error", "🚀" * 65_536),
        ("error", None),
    ]:
        with subtests.test(name, value=short(value)):
            before = change(alice, path, output={"old": 1}, error="old")
            after = change(alice, path, **{name: value})
            assert after == before | {name: value, "updated_at": after["updated_at"]}
            assert after["updated_at"] > before["updated_at"]
            assert read(alice, path) == after


def test_update_run_stores_the_deepest_allowed_output(alice: httpx.Client) -> None:
    run = new_run(alice)

    assert change(alice, f"/runs/{run['id']}", output=nested(99))["output"] == nested(99)


@pytest.mark.parametrize("status", STATUSES)
def test_update_run_without_changes_keeps_everything(alice: httpx.Client, status: str) -> None:
    run = run_with(alice, status)

    for body in ({}, {"status": None}, {"agent_id": "other", "input": {}}):
        assert change(alice, f"/runs/{run['id']}", **body) == run, body
        assert read(alice, f"/runs/{run['id']}") == run, body


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
def test_update_run_rejects_wrong_values(alice: httpx.Client, wrong: Json, pointer: str) -> None:
    run = new_run(alice)
    body = {"status": "running", "output": {"a": 1}, "error": "e"} | wrong

    response = alice.patch(f"/runs/{run['id']}", json=body)

    assert refusals(response) == {("body", pointer)}
    assert read(alice, f"/runs/{run['id']}") == run


def test_update_run_with_a_forbidden_status_changes_nothing(alice: httpx.Client) -> None:
    run = run_with(alice, "failed")

    response = alice.patch(f"/runs/{run['id']}", json={"status": "running", "error": "again"})

    assert response.status_code == 409
    assert "failed" in response.json()["detail"]
    assert read(alice, f"/runs/{run['id']}") == run


def test_update_run_keeps_its_conversation_unchanged(
    alice: httpx.Client, conversation: Json
) -> None:
    run = new_run(alice, conversation_id=conversation["id"])
    post_message(alice, conversation, "Hello", run_id=run["id"])
    before = get_conversation(alice, conversation)

    change(alice, f"/runs/{run['id']}", status="running")

    assert get_conversation(alice, conversation) == before


def test_list_runs_shows_only_the_users_own(alice: httpx.Client, bob: httpx.Client) -> None:
    mine, theirs = new_run(alice), new_run(bob)

    assert read(alice, "/runs")["runs"] == [mine]
    assert read(bob, "/runs")["runs"] == [theirs]


def test_list_runs_reports_its_default_page(alice: httpx.Client) -> None:
    expected: Json = {"runs": [], "total": 0, "limit": 50, "offset": 0, "next_cursor": None}

    assert read(alice, "/runs") == expected
