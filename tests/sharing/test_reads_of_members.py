"""What members read of a shared conversation: pages of messages, tags, events of its runs."""

import httpx

from tests.calls import (
    Json,
    ids,
    messages_of,
    new_conversation,
    new_run,
    pages,
    post_message,
    read,
    read_all,
    refusals,
    rows,
)
from tests.contract import assert_problem
from tests.sharing.members import share
from tests.workers import Worker, claimed_run


def test_member_pages_through_messages_by_cursor(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob, "editor")
    made = [post_message(each, conversation, "Hello") for each in (alice, bob, alice, bob, alice)]

    found = list(pages(bob, messages_of(conversation), limit=2))

    assert [ids(rows(page)) for page in found] == [ids(made[:2]), ids(made[2:4]), ids(made[4:])]
    assert read_all(alice, messages_of(conversation)) == made
    hers = read(alice, messages_of(conversation), limit=2)["next_cursor"]
    response = bob.get(messages_of(conversation), params={"cursor": hers})
    assert refusals(response) == {("query", "/cursor")}


def test_members_get_the_owners_tags(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    message = post_message(alice, conversation, "Hello")

    hers, his = (each.get(f"/messages/{message['id']}") for each in (alice, bob))
    tag = bob.get(f"/conversations/{conversation['id']}").headers["etag"]

    assert (his.json(), his.headers["etag"]) == (hers.json(), hers.headers["etag"])
    again = bob.get(f"/conversations/{conversation['id']}", headers={"If-None-Match": tag})
    assert again.status_code == 304


def test_list_run_events_hides_the_input_from_members(
    alice: httpx.Client, bob: httpx.Client, worker: Worker, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    secret = {"input": {"secret": 12345678901234567890}}
    claim = claimed_run(alice, worker, conversation_id=conversation["id"], **secret)
    worker.update(claim, status="succeeded")
    path = f"/runs/{claim.run['id']}/events"

    hers, his = read(alice, path), read(bob, path)

    assert [each["data"]["input"] for each in hers["events"]] == [secret["input"]] * 2
    assert his == hers | {
        "events": [each | {"data": each["data"] | {"input": None}} for each in hers["events"]]
    }
    assert_problem(bob.get(f"/runs/{claim.run['id']}"), 403)


def test_events_of_runs_of_other_conversations_stay_hidden(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)

    for body in ({}, {"conversation_id": new_conversation(alice)["id"]}):
        run = new_run(alice, **body)
        assert_problem(bob.get(f"/runs/{run['id']}/events"), 403)
