"""Workers regenerate answers: their leases let them post to another branch."""

import httpx

from tests.branches.calls import contents, tree_of
from tests.calls import Json, messages_of, post_message
from tests.contract import assert_problem
from tests.workers import Worker, claimed_run


def test_worker_posts_another_version_of_an_answer(
    alice: httpx.Client, worker: Worker, conversation: Json
) -> None:
    post_message(alice, conversation, "question")
    answer = post_message(alice, conversation, "answer", role="assistant")
    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    body = {"role": "assistant", "content": "again", "sibling_of": answer["id"]}

    response = worker.client.post(messages_of(conversation), json=body, headers=claim.headers)

    assert response.status_code == 201, response.text
    assert response.json()["sibling_count"] == 2
    last = body | {"content": "and again"}
    assert worker.update(claim, status="succeeded", message=last).status_code == 200
    assert contents(alice, conversation) == ["question", "and again"]
    assert [each["sibling_count"] for each in tree_of(alice, conversation)] == [1, 3, 3, 3]


def test_worker_neither_switches_branches_nor_deletes_messages(
    alice: httpx.Client, worker: Worker, conversation: Json
) -> None:
    message = post_message(alice, conversation, "question")
    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    path = f"/conversations/{conversation['id']}"

    for method, url, body in (
        ("PUT", f"{path}/active-message", {"message_id": message["id"]}),
        ("POST", f"{path}/fork", {}),
        ("DELETE", f"/messages/{message['id']}", None),
    ):
        response = worker.client.request(method, url, json=body, headers=claim.headers)
        assert_problem(response, 403)
