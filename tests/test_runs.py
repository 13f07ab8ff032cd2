"""Creating, reading and listing runs over HTTP."""

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    TIME,
    Json,
    get_conversation,
    nested,
    new_conversation,
    new_run,
    read,
    refusals,
    short,
)
from tests.contract import CONTRACT

OBJECTS: dict[str, Json] = {
    "empty": {},
    "some": {"message_id": NOBODYS_ID, "options": [1, 0.5, None, {"ключ": "🔑"}]},
    "deepest allowed": nested(99),
}


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
        *(({"status": end}, "/status") for end in ("succeeded", "failed", "timeout", "cancelled")),
    ],
)
def test_create_run_rejects_wrong_values(alice: httpx.Client, wrong: Json, pointer: str) -> None:
    response = alice.post("/runs", json={"agent_id": "document-agent"} | wrong)

    assert refusals(response) == {("body", pointer)}
    assert read(alice, "/runs")["total"] == 0


def test_create_run_requires_an_agent_id(alice: httpx.Client) -> None:
    assert refusals(alice.post("/runs", json={})) == {("body", "/agent_id")}


def test_create_run_rejects_unknown_and_other_users_conversations(
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


def test_list_runs_shows_only_the_users_own(alice: httpx.Client, bob: httpx.Client) -> None:
    mine, theirs = new_run(alice), new_run(bob)

    assert read(alice, "/runs")["runs"] == [mine]
    assert read(bob, "/runs")["runs"] == [theirs]


def test_list_runs_reports_its_default_page(alice: httpx.Client) -> None:
    expected: Json = {"runs": [], "total": 0, "limit": 50, "offset": 0, "next_cursor": None}

    assert read(alice, "/runs") == expected
