"""Changing runs over HTTP: the allowed status changes, and what each change keeps."""

from itertools import product

import httpx
import pytest

from tests.calls import (
    Json,
    change,
    get_conversation,
    nested,
    new_run,
    post_message,
    read,
    refusals,
    short,
)

FINAL = ("succeeded", "failed", "timeout", "cancelled")
STATUSES = ("pending", "running", *FINAL)
CHANGES = {
    *((status, status) for status in STATUSES),
    *(("pending", status) for status in ("running", "failed", "timeout", "cancelled")),
    *(("running", end) for end in FINAL),
}


def run_with(client: httpx.Client, status: str) -> Json:
    """Create a run and bring it to `status` by allowed changes."""
    run = new_run(client, status="pending" if status == "pending" else "running")
    return change(client, f"/runs/{run['id']}", status=status) if status in FINAL else run


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
