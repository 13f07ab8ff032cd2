"""Copies of conversations over HTTP."""

import httpx

from tests.branches.calls import contents, fork
from tests.calls import (
    NOBODYS_ID,
    Json,
    get_conversation,
    messages_of,
    new_attachment,
    new_conversation,
    new_run,
    post_message,
    read,
    read_all,
    refusals,
)

COPIED = (
    *("role", "content", "attachments", "chat_attachments", "metadata"),
    *("routing_decision", "tool_calls", "created_at"),
)


def test_fork_conversation_copies_the_active_path(alice: httpx.Client) -> None:
    conversation = new_conversation(
        alice, source="app", model="m", agent_id="a", is_private=True, metadata={"size": 1}
    )
    run = new_run(alice, conversation_id=conversation["id"])
    file = new_attachment(alice)
    decision = {"selected_agents": ["chosen-agent"]}
    post_message(alice, conversation, "Is it? ✓", metadata={"n": 1}, attachment_ids=[file["id"]])
    answer = post_message(
        alice, conversation, "Yes", role="assistant", run_id=run["id"], routing_decision=decision
    )
    post_message(alice, conversation, "No", role="assistant", sibling_of=answer["id"])
    originals = read_all(alice, messages_of(conversation))
    source = get_conversation(alice, conversation)

    response = alice.post(f"/conversations/{conversation['id']}/fork")

    copy = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/conversations/{copy['id']}"
    assert copy == get_conversation(alice, copy)
    forked_from = {"conversation_id": source["id"], "message_id": originals[-1]["id"]}
    expected = source | {
        "id": copy["id"],
        "unread_count": 0,
        "metadata": {"size": 1, "forked_from": forked_from},
        "created_at": copy["created_at"],
        "updated_at": copy["created_at"],
    }
    assert copy == expected
    assert copy["created_at"] > originals[-1]["created_at"]
    copies = read_all(alice, messages_of(copy))
    for one, other in zip(originals, copies, strict=True):
        assert {name: one[name] for name in COPIED} == {name: other[name] for name in COPIED}
        assert other["run_id"] is None
        assert other["id"] != one["id"]
    assert [each["sibling_count"] for each in copies] == [1, 1]
    assert post_message(alice, copy, "And now?")["parent_id"] == copies[-1]["id"]
    assert contents(alice, conversation) == ["Is it? ✓", "No"]


def test_fork_conversation_up_to_a_message_of_any_branch(
    alice: httpx.Client, conversation: Json
) -> None:
    posted = [post_message(alice, conversation, str(number)) for number in range(4)]
    post_message(alice, conversation, "other", sibling_of=posted[1]["id"])

    copy = fork(alice, conversation, up_to=posted[2]["id"].upper(), title="A copy")

    assert contents(alice, copy) == ["0", "1", "2"]
    assert copy["title"] == "A copy"
    assert copy["message_count"] == 3
    assert copy["last_message"]["content"] == "2"
    assert contents(alice, fork(alice, conversation, up_to=posted[0]["id"])) == ["0"]
    assert contents(alice, fork(alice, conversation)) == ["0", "other"]


def test_fork_conversation_is_found_by_the_agents_of_the_copied_messages(
    alice: httpx.Client, conversation: Json
) -> None:
    decision = {"selected_agents": ["only-agent"]}
    first = post_message(alice, conversation, "1")
    post_message(alice, conversation, "2", role="assistant", routing_decision=decision)

    without = fork(alice, conversation, up_to=first["id"])
    copy = fork(alice, conversation)

    found = read_all(alice, "/conversations", agent_id="only-agent")
    assert [each["id"] for each in found] == [copy["id"], conversation["id"]]
    assert without["message_count"] == 1


def test_fork_conversation_without_messages_is_an_empty_conversation(
    alice: httpx.Client, conversation: Json
) -> None:
    copy = fork(alice, conversation)

    assert (copy["message_count"], copy["last_message"]) == (0, None)
    assert copy["metadata"]["forked_from"]["message_id"] is None
    post_message(alice, copy, "The first message")
    assert get_conversation(alice, copy)["title"] == "The first message"


def test_fork_conversation_repeats_its_response_for_a_key(
    alice: httpx.Client, conversation: Json
) -> None:
    post_message(alice, conversation, "1")
    path = f"/conversations/{conversation['id']}/fork"

    copies = [alice.post(path, headers={"Idempotency-Key": "a-copy"}).json() for _ in range(2)]

    assert copies[0] == copies[1]
    assert read(alice, "/conversations")["total"] == 2


def test_fork_conversation_rejects_a_message_of_another_conversation(
    alice: httpx.Client, conversation: Json
) -> None:
    elsewhere = post_message(alice, new_conversation(alice), "elsewhere")

    for wrong in (elsewhere["id"], NOBODYS_ID):
        path = f"/conversations/{conversation['id']}/fork"
        assert refusals(alice.post(path, json={"up_to": wrong})) == {("body", "/up_to")}


def test_fork_conversation_rejects_16_mib(alice: httpx.Client, conversation: Json) -> None:
    large = "x" * 1_000_000
    messages = [post_message(alice, conversation, large) for _ in range(17)]

    response = alice.post(f"/conversations/{conversation['id']}/fork")
    assert refusals(response) == {("body", "/up_to")}

    copy = fork(alice, conversation, up_to=messages[15]["id"])
    assert copy["message_count"] == 16


def test_search_finds_copies_and_no_deleted_messages(
    alice: httpx.Client, conversation: Json
) -> None:
    message = post_message(alice, conversation, "The rent is fixed.", parts=[{"type": "text"}])
    copy = fork(alice, conversation)
    (copied,) = read_all(alice, messages_of(copy))
    assert copied["parts"] == message["parts"]

    found = read(alice, "/search", q="rent")["results"]
    assert {each["message_id"] for each in found} == {message["id"], copied["id"]}
    assert alice.delete(f"/messages/{message['id']}").status_code == 204
    found = read(alice, "/search", q="rent")["results"]
    assert [each["message_id"] for each in found] == [copied["id"]]


def test_delete_message_deletes_its_versions(alice: httpx.Client, conversation: Json) -> None:
    message = post_message(alice, conversation, "before")
    path = f"/messages/{message['id']}"
    assert alice.patch(path, json={"content": "after"}).status_code == 200

    assert alice.delete(path).status_code == 204
    assert alice.get(f"{path}/versions").status_code == 404
