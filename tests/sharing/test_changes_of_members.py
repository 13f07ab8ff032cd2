"""What members of a shared conversation find in their log of changes."""

import httpx
import pytest

from tests.calls import Json, change, new_conversation, new_run, post_message, read
from tests.live.following import following_changes
from tests.mirror import CHANGES, changes_after, position
from tests.processes import wait_until
from tests.sharing.members import NewClient, share, unshare, user_of
from tests.workers import EXPIRED_SECONDS, LEASE_SECONDS, Worker, claimed_run


@pytest.fixture
def shared(alice: httpx.Client, bob: httpx.Client) -> Json:
    """A conversation of Alice with a message, that Bob may edit."""
    conversation = new_conversation(alice, agent_id="a")
    post_message(alice, conversation, "Hello")
    share(alice, conversation["id"], bob, "editor")
    return conversation


def types(client: httpx.Client, after: int) -> list[str]:
    return [each["type"] for each in changes_after(client, after)]


def tags(client: httpx.Client, after: int) -> dict[str, str | None]:
    return {each["id"]: each["etag"] for each in changes_after(client, after)}


def tag(client: httpx.Client, path: str) -> str:
    return client.get(path).headers["etag"]


def test_list_changes_has_the_share_in_both_logs(alice: httpx.Client, bob: httpx.Client) -> None:
    conversation = new_conversation(alice)
    of_alice, of_bob = position(alice), position(bob)

    made = share(alice, conversation["id"], bob)
    share(alice, conversation["id"], bob, "editor")
    assert unshare(alice, conversation["id"], bob).status_code == 204

    owner = list(changes_after(alice, of_alice))
    member = list(changes_after(bob, of_bob))
    assert [each["type"] for each in owner] == ["share.created", "share.updated", "share.deleted"]
    assert {(each["conversation_id"], each["id"], each["etag"]) for each in owner} == {
        (conversation["id"], made["id"], None)
    }
    assert [each["type"] for each in member] == [
        "conversation.created",
        "conversation.updated",
        "conversation.deleted",
    ]
    assert {(each["conversation_id"], each["id"], each["etag"]) for each in member} == {
        (conversation["id"], conversation["id"], None)
    }


def test_list_changes_has_what_the_owner_changes(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    path = f"/conversations/{shared['id']}"
    before = {client: position(client) for client in (alice, bob)}

    message = post_message(alice, shared, "Again")
    change(alice, path, title="Renamed")
    change(alice, path, metadata={"a": 1})
    run = new_run(alice, conversation_id=shared["id"])
    change(alice, f"/runs/{run['id']}", status="running")
    change(alice, f"/runs/{run['id']}", output={"a": 1})
    change(
        alice,
        f"/runs/{run['id']}",
        status="succeeded",
        message={"role": "assistant", "content": "Done"},
    )
    cancelled = new_run(alice, conversation_id=shared["id"])
    alice.post(f"/runs/{cancelled['id']}/cancel")
    new_run(alice)
    new_conversation(alice)

    found = list(changes_after(bob, before[bob]))
    of_owner = list(changes_after(alice, before[alice]))
    assert [(each["type"], each["id"]) for each in found] == [
        (each["type"], each["id"]) for each in of_owner[:-2]
    ]
    assert found[0]["id"] == message["id"]
    assert {each["conversation_id"] for each in found} == {shared["id"]}
    assert [each["type"] for each in found] == [
        "message.created",
        "conversation.updated",
        "conversation.updated",
        "run.created",
        *["run.updated"] * 3,
        "message.created",
        "run.created",
        "run.updated",
    ]


def test_list_changes_has_what_an_editor_posts_in_all_logs(
    alice: httpx.Client, bob: httpx.Client, shared: Json, new_client: NewClient
) -> None:
    before = {client: position(client) for client in (alice, bob)}

    message = post_message(bob, shared, "From Bob")

    for client, start in before.items():
        (found,) = changes_after(client, start)
        assert (found["type"], found["id"]) == ("message.created", message["id"])
        assert found["etag"] == tag(client, f"/messages/{message['id']}")


def test_list_changes_has_what_a_worker_changes(
    alice: httpx.Client, bob: httpx.Client, shared: Json, worker: Worker
) -> None:
    before = position(bob)

    claim = claimed_run(alice, worker, conversation_id=shared["id"])
    message = {"role": "assistant", "content": "Harbour Street."}
    assert worker.update(claim, status="succeeded", message=message).status_code == 200

    assert types(bob, before) == ["run.created", "run.updated", "run.updated", "message.created"]


@pytest.mark.slow
def test_list_changes_has_a_run_that_returns_to_the_queue(
    alice: httpx.Client, bob: httpx.Client, shared: Json, worker: Worker
) -> None:
    before = position(bob)

    claimed_run(alice, worker, conversation_id=shared["id"], lease_seconds=LEASE_SECONDS)
    wait_until(lambda: len(types(bob, before)) == 3, EXPIRED_SECONDS)

    assert types(bob, before) == ["run.created", "run.updated", "run.updated"]


def test_stream_changes_delivers_what_others_write(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    with following_changes(bob, after=position(bob)) as stream:
        message = post_message(alice, shared, "Hello")
        first = next(stream)
        change(alice, f"/conversations/{shared['id']}", title="Renamed")
        second = next(stream)

    assert [each.event for each in (first, second)] == ["message.created", "conversation.updated"]
    assert first.data["id"] == message["id"]
    assert second.data["etag"] == tag(bob, f"/conversations/{shared['id']}")


def test_list_changes_has_the_tags_of_the_members_own_gets(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    before = {client: position(client) for client in (alice, bob)}
    path = f"/conversations/{shared['id']}"
    message = post_message(alice, shared, "Again")
    change(alice, path, metadata={"a": [1, 2.5, "é"]})
    own = new_conversation(bob)
    run = new_run(alice, conversation_id=shared["id"])

    assert tags(bob, before[bob]) == {
        message["id"]: tag(bob, f"/messages/{message['id']}"),
        shared["id"]: tag(bob, path),
        own["id"]: tag(bob, f"/conversations/{own['id']}"),
        run["id"]: None,
    }
    of_owner = tags(alice, before[alice])
    assert of_owner[message["id"]] == tag(bob, f"/messages/{message['id']}")
    assert of_owner[shared["id"]] == tag(alice, path) != tag(bob, path)


def test_list_changes_has_no_tags_after_the_end_of_a_share(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    before = position(bob)
    message = post_message(alice, shared, "Again")

    assert unshare(alice, shared["id"], bob).status_code == 204
    post_message(alice, shared, "Without Bob")

    found = list(changes_after(bob, before))
    assert [(each["type"], each["id"], each["etag"]) for each in found] == [
        ("message.created", message["id"], None),
        ("conversation.deleted", shared["id"], None),
    ]


def test_list_changes_has_the_deletion_of_a_shared_conversation(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    before = position(bob)

    assert alice.delete(f"/conversations/{shared['id']}").status_code == 204

    (found,) = changes_after(bob, before)
    assert (found["type"], found["id"]) == ("conversation.deleted", shared["id"])


def test_list_changes_has_the_new_role_of_a_member(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    before, tag_of_editor = position(bob), tag(bob, f"/conversations/{shared['id']}")

    share(alice, shared["id"], bob, "viewer")

    (found,) = changes_after(bob, before)
    assert (found["type"], found["id"]) == ("conversation.updated", shared["id"])
    assert found["etag"] == tag(bob, f"/conversations/{shared['id']}") != tag_of_editor


def test_list_changes_has_a_repeated_post_once_for_members(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    body = {"role": "user", "content": "Once"}
    for client in (alice, bob):
        before = position(bob)
        for _ in range(3):
            path = f"/conversations/{shared['id']}/messages"
            response = client.post(path, json=body, headers={"Idempotency-Key": "once"})
            assert response.status_code == 201
        assert types(bob, before) == ["message.created"]


def test_list_changes_has_no_refused_writes_to_shared_conversations(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    path = f"/conversations/{shared['id']}"
    old = {"If-Match": '"old"'}
    before = position(bob)

    assert alice.patch(path, json={"title": "t"}, headers=old).status_code == 412
    assert alice.delete(path, headers=old).status_code == 412
    assert bob.patch(path, json={"title": "t"}).status_code == 403
    assert bob.patch(path, json={}).status_code == 403
    assert bob.delete(path).status_code == 403
    message = {"role": "user", "content": "Hello", "run_id": new_run(alice)["id"]}
    assert bob.post(f"{path}/messages", json=message).status_code in (403, 422)

    assert position(bob) == before


def test_list_changes_ends_a_page_of_large_shared_objects_early(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    start = position(bob)
    for _ in range(20):
        post_message(alice, shared, "x" * 1_000_000)

    page = read(bob, CHANGES, after=start)

    assert 16 <= len(page["changes"]) <= 18
    assert page["last_sequence"] == start + 20
    assert len(list(changes_after(bob, start))) == 20


def test_update_conversation_with_if_match_tells_members_once(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    path = f"/conversations/{shared['id']}"
    before, current = position(bob), tag(alice, path)

    headers = {"If-Match": current}
    assert alice.patch(path, json={"title": "t"}, headers=headers).status_code == 200

    assert types(bob, before) == ["conversation.updated"]


def test_share_conversation_tells_nobody_else(
    alice: httpx.Client, bob: httpx.Client, shared: Json, new_client: NewClient
) -> None:
    before = position(bob)

    share(alice, shared["id"], alice_friend := new_client())

    assert user_of(alice_friend) != user_of(bob)
    assert position(bob) == before
