"""Ending a run together with its message: both or neither."""

import httpx
import pytest

from tests.calls import (
    Json,
    change,
    get_conversation,
    messages_of,
    new_conversation,
    new_run,
    read,
)
from tests.contract import assert_problem, places
from tests.workers import Worker, claimed_run

ANSWER = {"role": "assistant", "content": "South, by 14 %."}


def path_of(run: Json) -> str:
    return f"/runs/{run['id']}"


def messages_in(client: httpx.Client, conversation: Json) -> list[Json]:
    found: list[Json] = read(client, messages_of(conversation))["messages"]
    return found


@pytest.fixture
def run(alice: httpx.Client, conversation: Json) -> Json:
    return new_run(alice, conversation_id=conversation["id"], status="running")


@pytest.mark.parametrize("status", ["succeeded", "failed", "timeout", "cancelled"])
def test_update_run_stores_the_message_with_the_end(
    alice: httpx.Client, conversation: Json, run: Json, status: str
) -> None:
    other = new_run(alice)
    message = ANSWER | {"run_id": other["id"], "metadata": {"n": 1}, "tool_calls": [{"x": 1}]}

    ended = change(alice, path_of(run), status=status, output={"n": 1}, message=message)

    assert ended["status"] == status
    assert "message" not in ended
    (stored,) = messages_in(alice, conversation)
    assert stored | message | {"run_id": run["id"]} == stored
    assert get_conversation(alice, conversation)["message_count"] == 1


def test_update_run_by_a_worker_stores_the_message(
    alice: httpx.Client, worker: Worker, conversation: Json
) -> None:
    claim = claimed_run(alice, worker, conversation_id=conversation["id"])

    response = worker.update(claim, status="succeeded", message=ANSWER)

    assert response.status_code == 200, response.text
    assert [message["run_id"] for message in messages_in(alice, conversation)] == [claim.run["id"]]


def test_update_run_names_the_conversation_after_a_message_of_the_user(
    alice: httpx.Client, conversation: Json, run: Json
) -> None:
    change(alice, path_of(run), status="failed", message={"role": "user", "content": "Why?"})

    assert get_conversation(alice, conversation)["title"] == "Why?"


@pytest.mark.parametrize("status", [None, "running"])
def test_update_run_refuses_a_message_without_an_end(
    alice: httpx.Client, conversation: Json, run: Json, status: str | None
) -> None:
    body = {"status": status, "output": {"n": 1}, "message": ANSWER}

    response = alice.patch(path_of(run), json=body)

    assert places(assert_problem(response, 422)) == {"body:/message"}
    assert messages_in(alice, conversation) == []
    assert read(alice, path_of(run)) == run


def test_update_run_refuses_a_message_without_a_conversation(alice: httpx.Client) -> None:
    run = new_run(alice, status="running")

    response = alice.patch(path_of(run), json={"status": "succeeded", "message": ANSWER})

    assert places(assert_problem(response, 422)) == {"body:/message"}
    assert read(alice, path_of(run)) == run


def test_update_run_refuses_a_message_after_the_conversation_was_deleted(
    alice: httpx.Client, conversation: Json, run: Json
) -> None:
    assert alice.delete(f"/conversations/{conversation['id']}").status_code == 204

    response = alice.patch(path_of(run), json={"status": "succeeded", "message": ANSWER})

    assert places(assert_problem(response, 422)) == {"body:/message"}
    assert read(alice, path_of(run))["status"] == "running"


def test_update_run_does_not_repeat_the_message_of_an_ended_run(
    alice: httpx.Client, conversation: Json, run: Json
) -> None:
    body = {"status": "succeeded", "message": ANSWER}
    assert alice.patch(path_of(run), json=body).status_code == 200

    response = alice.patch(path_of(run), json=body)

    assert_problem(response, 409)
    assert len(messages_in(alice, conversation)) == 1


def test_update_run_stores_no_message_if_the_status_is_refused(
    alice: httpx.Client, conversation: Json
) -> None:
    run = new_run(alice, conversation_id=conversation["id"])

    response = alice.patch(path_of(run), json={"status": "succeeded", "message": ANSWER})

    assert_problem(response, 409)
    assert messages_in(alice, conversation) == []


def test_update_run_stores_no_message_if_the_run_has_changed(
    alice: httpx.Client, conversation: Json, run: Json
) -> None:
    tag = alice.get(path_of(run)).headers["etag"]
    change(alice, path_of(run), output={"n": 1})
    body = {"status": "succeeded", "message": ANSWER}

    stale = alice.patch(path_of(run), json=body, headers={"If-Match": tag})
    fresh = alice.get(path_of(run)).headers["etag"]
    current = alice.patch(path_of(run), json=body, headers={"If-Match": fresh})

    assert_problem(stale, 412)
    assert current.status_code == 200
    assert len(messages_in(alice, conversation)) == 1


@pytest.mark.parametrize(
    "message", [{}, {"role": "assistant"}, ANSWER | {"role": "robot"}, "text", [ANSWER]]
)
def test_update_run_validates_the_message(
    alice: httpx.Client, conversation: Json, run: Json, message: object
) -> None:
    response = alice.patch(path_of(run), json={"status": "succeeded", "message": message})

    (place,) = {place.split("/")[1] for place in places(assert_problem(response, 422))}
    assert place == "message"
    assert read(alice, path_of(run)) == run


def test_update_run_posts_to_the_runs_conversation_only(
    alice: httpx.Client, conversation: Json, run: Json
) -> None:
    other = new_conversation(alice)

    change(
        alice,
        path_of(run),
        status="succeeded",
        message=ANSWER | {"conversation_id": other["id"]},
    )

    assert messages_in(alice, other) == []
    assert len(messages_in(alice, conversation)) == 1
