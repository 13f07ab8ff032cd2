"""The parts of messages: every valid value is stored unchanged, and every invalid one refused."""

import json

import httpx
import pytest

from tests.calls import Json, nested, new_run, post_message, read, refusals, short
from tests.contract import assert_problem
from tests.editing import TEXT, edit, path_of, version_of, versions_of
from tests.test_message_values import assert_reads_everywhere
from tests.workers import Worker, claimed_run


@pytest.fixture
def message(alice: httpx.Client, conversation: Json) -> Json:
    """A message of Alice, the only one of its conversation."""
    return post_message(alice, conversation, "Hello")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"content": 1}, "/content"),
        ({"content": "\0"}, "/content"),
        ({"parts": []}, "/parts"),
        ({"parts": [{}]}, "/parts/0/type"),
        ({"parts": [TEXT] * 1001}, "/parts"),
        ({"parts": [{"type": ""}]}, "/parts/0/type"),
        ({"parts": [{"type": "x" * 101}]}, "/parts/0/type"),
        ({"parts": [TEXT, {"type": None}]}, "/parts/1/type"),
        ({"parts": [{"type": "text", "a\0": 1}]}, "/parts/0"),
        ({"parts": ["text"]}, "/parts/0"),
        ({"parts": {"type": "text"}}, "/parts"),
        ({"parts": [TEXT | {"deep": nested(120)}]}, ""),
        ({"metadata": []}, "/metadata"),
        ({"metadata": {"a": "\ud800"}}, ""),
    ],
    ids=short,
)
def test_update_message_and_create_message_refuse_invalid_values(
    alice: httpx.Client, message: Json, body: Json, pointer: str
) -> None:
    path = f"/conversations/{message['conversation_id']}/messages"
    new: Json = {"role": "user", "content": "Hello", **body}
    as_json = {"Content-Type": "application/json"}
    # httpx cannot encode lone surrogates.
    for response in (
        alice.patch(path_of(message), content=json.dumps(body), headers=as_json),
        alice.post(path, content=json.dumps(new), headers=as_json),
    ):
        if pointer:
            (place,) = refusals(response)
            assert place[0] == "body"
            assert place[1].startswith(pointer)
        else:
            assert response.status_code in (400, 422)

    assert read(alice, path_of(message)) == message


PARTS: dict[str, list[Json]] = {
    "one": [TEXT],
    "as many as allowed": [TEXT | {"number": number} for number in range(1000)],
    "all kinds": [
        {"type": kind, "data": [kind, 1, 1.5, None, {"a": True}]}
        for kind in ("text", "reasoning", "tool_call", "tool_result", "file", "data", "my-own.x")
    ],
    "longest type": [{"type": "🚀" * 100}],
    "control characters": [{"type": "a\n\x7f"}],
    "deepest allowed": [{"type": "data", "data": nested(97)}],
    "other properties": [{"type": "file", "": None, "type ": "a", "url": "s3://a"}],
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_stored_unchanged(alice: httpx.Client, conversation: Json, name: str) -> None:
    message = post_message(alice, conversation, "Hello", parts=PARTS[name])
    assert message["parts"] == PARTS[name]
    assert_reads_everywhere(alice, message)

    bare = edit(alice, message, parts=None)
    again = edit(alice, message, parts=PARTS[name])

    assert again["parts"] == PARTS[name]
    assert versions_of(alice, message) == [version_of(each) for each in (message, bare, again)]


def test_parts_of_the_last_message_of_a_run(alice: httpx.Client, conversation: Json) -> None:
    run = new_run(alice, conversation_id=conversation["id"], status="running")
    last = {"role": "assistant", "content": "Less.", "parts": [TEXT]}

    ended = alice.patch(f"/runs/{run['id']}", json={"status": "succeeded", "message": last})

    assert ended.status_code == 200
    (message,) = read(alice, f"/conversations/{conversation['id']}/messages")["messages"]
    assert (message["parts"], message["author"], message["run_id"]) == ([TEXT], None, run["id"])


def test_workers_post_parts_and_cannot_edit(
    alice: httpx.Client, conversation: Json, worker: Worker
) -> None:
    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    new = {"role": "assistant", "content": "Less.", "parts": [TEXT]}
    path = f"/conversations/{conversation['id']}/messages"
    posted = worker.client.post(path, json=new, headers=claim.headers)
    assert posted.status_code == 201

    refused = worker.client.patch(
        path_of(posted.json()), json={"content": "More."}, headers=claim.headers
    )

    assert_problem(refused, 403)
    assert (posted.json()["parts"], posted.json()["author"]) == ([TEXT], None)
    assert read(alice, path)["messages"] == [posted.json()]
    assert edit(alice, posted.json(), parts=None)["version"] == 2
