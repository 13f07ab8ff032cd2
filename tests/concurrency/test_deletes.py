"""Deleting a conversation while others change it, or delete it too."""

import threading
from functools import partial

import httpx

from tests.calls import Json, at_once, new_run, post_message, read
from tests.concurrency.races import race


@race(usual=2, thorough=5)
def test_delete_conversation_during_changes_of_its_rows(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    """Late requests fail; messages created in time are deleted, runs lose their conversation."""
    path = f"/conversations/{shared['id']}"
    run = new_run(crowd[0], conversation_id=shared["id"])
    gone = threading.Event()

    def until_gone(client: httpx.Client, method: str, url: str, body: Json) -> list[httpx.Response]:
        answers = [client.request(method, url, json=body)]
        while not gone.is_set():
            answers.append(client.request(method, url, json=body))
        answers.append(client.request(method, url, json=body))
        return answers

    def delete(client: httpx.Client) -> list[httpx.Response]:
        try:
            while read(client, path, message_limit=1)["message_count"] < 5 + attempt:
                pass
            return [client.delete(path)]
        finally:
            gone.set()

    message = {"role": "user", "content": "Hello"}
    posting, linking, starting, moving, renaming, deleting = at_once(
        [
            partial(until_gone, crowd[0], "POST", f"{path}/messages", message),
            partial(
                until_gone, crowd[1], "POST", f"{path}/messages", message | {"run_id": run["id"]}
            ),
            partial(
                until_gone,
                crowd[2],
                "POST",
                "/runs",
                {"agent_id": "a", "conversation_id": shared["id"]},
            ),
            partial(until_gone, crowd[3], "PATCH", f"/runs/{run['id']}", {"output": {"a": 1}}),
            partial(until_gone, crowd[4], "PATCH", path, {"title": "Renamed"}),
            partial(delete, crowd[5]),
        ]
    )

    assert [answer.status_code for answer in deleting] == [204]
    for answers, late in ((posting, 404), (linking, 404), (starting, 422), (renaming, 404)):
        statuses = [answer.status_code for answer in answers]
        made = 200 if answers is renaming else 201
        assert set(statuses) <= {made, late}
        assert statuses == sorted(statuses)  # no success after the first failure
        assert statuses[-1] == late
    assert {answer.status_code for answer in moving} == {200}
    posted = [answer.json()["id"] for answer in posting + linking if answer.status_code == 201]
    assert {crowd[0].get(f"/messages/{row_id}").status_code for row_id in posted} == {404}
    started = [answer.json()["id"] for answer in starting if answer.status_code == 201]
    for run_id in (run["id"], *started):
        assert read(crowd[0], f"/runs/{run_id}")["conversation_id"] is None


@race(usual=1, thorough=3)
def test_delete_conversation_by_concurrent_clients_succeeds_once(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    post_message(crowd[0], shared, "Hello")

    answers = at_once([partial(c.delete, f"/conversations/{shared['id']}") for c in crowd[:8]])

    assert sorted(answer.status_code for answer in answers) == [204, *[404] * 7]
