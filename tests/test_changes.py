"""Each write is an entry of its user's log of changes, and nothing else is."""

import uuid
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import httpx
import pytest

from tests.calls import (
    Json,
    change,
    create,
    new_attachment,
    new_conversation,
    new_run,
    post_message,
    read,
    refusals,
)
from tests.contract import OPERATIONS, Rows, assert_problem
from tests.live.following import append, word
from tests.mirror import CHANGES, SETTINGS, changes_after, position
from tests.workers import Worker, claimed_run

OLD = {"If-Match": '"old"'}

Write = Callable[[httpx.Client, Rows], Any]

# What each write adds to the log: types and the ids that they have.
WRITES: dict[str, tuple[Write, list[tuple[str, str, str]]]] = {
    "create_conversation": (
        lambda client, rows: new_conversation(client),
        [("conversation.created", "new", "new")],
    ),
    "update_conversation": (
        lambda client, rows: change(client, conversation_of(rows), title="Another"),
        [("conversation.updated", "conversation_id", "conversation_id")],
    ),
    "update_conversation with the same title": (
        lambda client, rows: [
            change(client, conversation_of(rows), title="Another") for _ in range(2)
        ],
        [("conversation.updated", "conversation_id", "conversation_id")] * 2,
    ),
    "update_conversation with nothing": (
        lambda client, rows: change(client, conversation_of(rows)),
        [],
    ),
    "update_conversation with tags": (
        lambda client, rows: change(client, conversation_of(rows), tags=["a", "b"], pinned=True),
        [("conversation.updated", "conversation_id", "conversation_id")],
    ),
    "mark_conversation_read": (
        lambda client, rows: [
            post_message(client, {"id": rows["conversation_id"]}, "Hello", role="assistant")
            and client.put(f"{conversation_of(rows)}/read")
            for _ in range(2)
        ],
        [
            ("message.created", "conversation_id", "any"),
            ("conversation.updated", "conversation_id", "conversation_id"),
        ]
        * 2,
    ),
    "mark_conversation_read without unread messages": (
        lambda client, rows: client.put(f"{conversation_of(rows)}/read"),
        [],
    ),
    "bulk_update_conversations": (
        lambda client, rows: client.post(
            "/conversations/bulk", json={"ids": [rows["conversation_id"]] * 2, "action": "pin"}
        ),
        [("conversation.updated", "conversation_id", "conversation_id")],
    ),
    "bulk_update_conversations that deletes": (
        lambda client, rows: client.post(
            "/conversations/bulk", json={"ids": [rows["conversation_id"]], "action": "delete"}
        ),
        [("conversation.deleted", "conversation_id", "conversation_id")],
    ),
    "bulk_update_conversations with an unknown id": (
        lambda client, rows: client.post(
            "/conversations/bulk", json={"ids": [str(uuid.uuid4())], "action": "pin"}
        ),
        [],
    ),
    "activate_message": (
        lambda client, rows: [
            post_message(
                client, {"id": rows["conversation_id"]}, "Hello", sibling_of=rows["message_id"]
            )
            and client.put(
                f"{conversation_of(rows)}/active-message", json={"message_id": rows["message_id"]}
            )
            for _ in range(1)
        ],
        [
            ("conversation.branch_activated", "conversation_id", "conversation_id"),
            ("message.created", "conversation_id", "any"),
            ("conversation.branch_activated", "conversation_id", "conversation_id"),
        ],
    ),
    "activate_message of the active branch": (
        lambda client, rows: client.put(
            f"{conversation_of(rows)}/active-message", json={"message_id": rows["message_id"]}
        ),
        [],
    ),
    "fork_conversation": (
        lambda client, rows: create(client, f"{conversation_of(rows)}/fork"),
        [("conversation.created", "new", "new")],
    ),
    "delete_message": (
        lambda client, rows: client.delete(f"/messages/{rows['message_id']}"),
        [("message.deleted", "conversation_id", "message_id")],
    ),
    "delete_conversation": (
        lambda client, rows: client.delete(conversation_of(rows)),
        [("conversation.deleted", "conversation_id", "conversation_id")],
    ),
    "create_message": (
        lambda client, rows: post_message(client, {"id": rows["conversation_id"]}, "Hello"),
        [("message.created", "conversation_id", "new")],
    ),
    "update_message": (
        lambda client, rows: change(client, message_of(rows), content="Another"),
        [("message.updated", "conversation_id", "message_id")],
    ),
    "update_message with the same content": (
        lambda client, rows: [
            change(client, message_of(rows), content="Another") for _ in range(2)
        ],
        [("message.updated", "conversation_id", "message_id")],
    ),
    "update_message with nothing": (lambda client, rows: change(client, message_of(rows)), []),
    "set_feedback": (
        lambda client, rows: rate(client, rows, "up"),
        [("message.updated", "conversation_id", "message_id")],
    ),
    "set_feedback as before": (lambda client, rows: rate(client, rows, "down"), []),
    "delete_feedback": (
        lambda client, rows: client.delete(f"/messages/{rows['message_id']}/feedback"),
        [("message.updated", "conversation_id", "message_id")],
    ),
    "share_conversation": (
        lambda client, rows: share(client, rows["conversation_id"], "another member").json(),
        [("share.created", "conversation_id", "new")],
    ),
    "share_conversation with another role": (
        lambda client, rows: share(
            client, rows["conversation_id"], rows["user_id"], "editor"
        ).json(),
        [("share.updated", "conversation_id", "new")],
    ),
    "share_conversation as before": (
        lambda client, rows: share(client, rows["conversation_id"], rows["user_id"]).json(),
        [],
    ),
    "unshare_conversation": (
        lambda client, rows: [
            share(client, rows["conversation_id"], "another member").json(),
            client.delete(f"{conversation_of(rows)}/shares/another%20member"),
        ][0],
        [
            ("share.created", "conversation_id", "new"),
            ("share.deleted", "conversation_id", "new"),
        ],
    ),
    "create_link": (
        lambda client, rows: client.post(f"{conversation_of(rows)}/links", json={}).json(),
        [("link.created", "conversation_id", "new")],
    ),
    "delete_link": (
        lambda client, rows: client.delete(f"{conversation_of(rows)}/links/{rows['link_id']}"),
        [("link.deleted", "conversation_id", "link_id")],
    ),
    "create_chat_attachment": (
        lambda client, rows: new_attachment(client),
        [("chat_attachment.created", "none", "new")],
    ),
    "delete_chat_attachment": (
        lambda client, rows: client.delete(f"/chat-attachments/{rows['attachment_id']}"),
        [
            ("chat_attachment.deleted", "conversation_id", "attachment_id"),
            ("message.updated", "conversation_id", "message_id"),
        ],
    ),
    "create_run": (
        lambda client, rows: new_run(client, conversation_id=rows["conversation_id"]),
        [("run.created", "conversation_id", "new")],
    ),
    "create_run without a conversation": (
        lambda client, rows: new_run(client, status="running"),
        [("run.created", "none", "new")],
    ),
    "update_run": (
        lambda client, rows: change(client, run_of(rows), status="running"),
        [("run.updated", "conversation_id", "run_id")],
    ),
    "update_run with nothing": (lambda client, rows: change(client, run_of(rows)), []),
    "append_run_events": (
        lambda client, rows: append(client, {"id": rows["run_id"]}, word("a")),
        [],
    ),
    "cancel_run": (
        lambda client, rows: client.post(f"{run_of(rows)}/cancel"),
        [("run.updated", "conversation_id", "run_id")],
    ),
    "update_chat_settings": (
        lambda client, rows: client.put(SETTINGS, json={"model": "m"}),
        [("settings.updated", "none", "none")],
    ),
}

# Writes that are refused, and their status.
REFUSED: dict[str, tuple[int, Callable[[httpx.Client, Rows], httpx.Response]]] = {
    "another status": (
        409,
        lambda client, rows: client.patch(run_of(rows), json={"status": "succeeded"}),
    ),
    "run with another tag": (
        412,
        lambda client, rows: client.patch(run_of(rows), json={"error": "e"}, headers=OLD),
    ),
    "conversation with another tag": (
        412,
        lambda client, rows: client.patch(conversation_of(rows), json={"title": "t"}, headers=OLD),
    ),
    "message with another tag": (
        412,
        lambda client, rows: client.patch(message_of(rows), json={"content": "c"}, headers=OLD),
    ),
    "deletion with another tag": (
        412,
        lambda client, rows: client.delete(conversation_of(rows), headers=OLD),
    ),
    "settings with another tag": (
        412,
        lambda client, rows: client.put(SETTINGS, json={"model": "m"}, headers=OLD),
    ),
    "message of no run": (
        422,
        lambda client, rows: client.post(
            f"{conversation_of(rows)}/messages",
            json={"role": "user", "content": "Hello", "run_id": str(uuid.uuid4())},
        ),
    ),
    "reading a message of another conversation": (
        422,
        lambda client, rows: client.put(
            f"{conversation_of(rows)}/read", json={"message_id": str(uuid.uuid4())}
        ),
    ),
    "reading no conversation": (
        404,
        lambda client, rows: client.put(f"/conversations/{uuid.uuid4()}/read", json={}),
    ),
    "message of no conversation": (
        404,
        lambda client, rows: client.post(
            f"/conversations/{uuid.uuid4()}/messages", json={"role": "user", "content": "Hello"}
        ),
    ),
    "run of no conversation": (
        422,
        lambda client, rows: client.post(
            "/runs", json={"agent_id": "a", "conversation_id": str(uuid.uuid4())}
        ),
    ),
    "share with oneself": (
        422,
        lambda client, rows: share(
            client, rows["conversation_id"], read(client, SETTINGS)["user_id"]
        ),
    ),
    "removal of no member": (
        404,
        lambda client, rows: client.delete(f"{conversation_of(rows)}/shares/nobody"),
    ),
    "deletion of nothing": (
        404,
        lambda client, rows: client.delete(f"/conversations/{uuid.uuid4()}"),
    ),
}


def conversation_of(rows: Rows) -> str:
    return f"/conversations/{rows['conversation_id']}"


def share(
    client: httpx.Client, conversation_id: str, member: str, role: str = "viewer"
) -> httpx.Response:
    body = {"user_id": member, "role": role}
    return client.post(f"/conversations/{conversation_id}/shares", json=body)


def message_of(rows: Rows) -> str:
    return f"/messages/{rows['message_id']}"


def rate(client: httpx.Client, rows: Rows, rating: str) -> httpx.Response:
    return client.put(f"/messages/{rows['message_id']}/feedback", json={"rating": rating})


def run_of(rows: Rows) -> str:
    return f"/runs/{rows['run_id']}"


def test_every_write_has_a_case() -> None:
    writing = {each.operation_id for each in OPERATIONS if each.method not in ("GET", "HEAD")}

    of_workers = {"claim_run", "heartbeat_run"}
    assert writing == {name.split()[0] for name in WRITES} | of_workers


def test_list_changes_has_what_a_worker_changed(alice: httpx.Client, worker: Worker) -> None:
    conversation = new_conversation(alice)
    before = position(alice)

    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    assert worker.heartbeat(claim).status_code == 200
    message = {"role": "assistant", "content": "Harbour Street."}
    assert worker.update(claim, status="succeeded", message=message).status_code == 200

    types = [each["type"] for each in changes_after(alice, before)]
    assert types == ["run.created", "run.updated", "run.updated", "message.created"]


@pytest.mark.parametrize("name", WRITES)
def test_list_changes_has_what_each_write_changed(
    alice: httpx.Client, rows: Rows, name: str
) -> None:
    write, expected = WRITES[name]
    before = position(alice)

    made = write(alice, rows)

    new = made.get("id") if isinstance(made, dict) else None
    ids: dict[str, Any] = {**rows, "new": new, "any": ANY}
    assert [
        (each["type"], each["conversation_id"], each["id"]) for each in changes_after(alice, before)
    ] == [(kind, ids.get(conversation), ids.get(own)) for kind, conversation, own in expected]


@pytest.mark.parametrize("name", REFUSED)
def test_list_changes_has_no_refused_writes(alice: httpx.Client, rows: Rows, name: str) -> None:
    status, write = REFUSED[name]
    before = position(alice)

    response = write(alice, rows)

    assert response.status_code == status, response.text
    assert position(alice) == before


def test_list_changes_has_no_reads(alice: httpx.Client, rows: Rows) -> None:
    before = position(alice)

    for path in ("/conversations", "/runs", SETTINGS, conversation_of(rows), run_of(rows)):
        read(alice, path)

    assert position(alice) == before


def test_list_changes_has_a_repeated_post_once(alice: httpx.Client, rows: Rows) -> None:
    for path, body in (
        ("/conversations", {}),
        (f"{conversation_of(rows)}/messages", {"role": "user", "content": "Hello"}),
        ("/runs", {"agent_id": "a"}),
    ):
        before, key = position(alice), {"Idempotency-Key": str(uuid.uuid4())}
        for _ in range(3):
            assert alice.post(path, json=body, headers=key).status_code == 201
        assert position(alice) == before + 1


def test_list_changes_with_if_match_has_the_write_once(alice: httpx.Client, rows: Rows) -> None:
    for path, body in ((conversation_of(rows), {"title": "t"}), (run_of(rows), {"error": "e"})):
        before, tag = position(alice), alice.get(path).headers["etag"]
        assert alice.patch(path, json=body, headers={"If-Match": tag}).status_code == 200
        assert position(alice) == before + 1
    before, tag = position(alice), alice.get(SETTINGS).headers["etag"]
    assert alice.put(SETTINGS, json={}, headers={"If-Match": tag}).status_code == 200
    assert position(alice) == before + 1


def test_list_changes_numbers_changes_in_their_order(alice: httpx.Client) -> None:
    conversation = new_conversation(alice)
    made = [post_message(alice, conversation, f"Message {number}") for number in range(5)]
    run = new_run(alice)

    found = list(changes_after(alice, 0))

    assert [each["sequence"] for each in found] == [1, 2, 3, 4, 5, 6, 7]
    assert [each["id"] for each in found] == [
        conversation["id"],
        *(each["id"] for each in made),
        run["id"],
    ]
    assert [each["at"] for each in found] == [
        conversation["created_at"],
        *(each["created_at"] for each in made),
        run["created_at"],
    ]


def test_list_changes_returns_pages(alice: httpx.Client) -> None:
    conversation = new_conversation(alice)
    for number in range(5):
        post_message(alice, conversation, f"Message {number}")

    first = read(alice, CHANGES, after=0, limit=4)
    second = read(alice, CHANGES, after=4, limit=4)
    at_end = read(alice, CHANGES, after=6)

    assert [each["sequence"] for each in first["changes"]] == [1, 2, 3, 4]
    assert [each["sequence"] for each in second["changes"]] == [5, 6]
    assert (first["limit"], first["last_sequence"], second["last_sequence"]) == (4, 6, 6)
    assert at_end == {"changes": [], "limit": 100, "last_sequence": 6}


def test_list_changes_ends_a_page_of_large_objects_early(alice: httpx.Client) -> None:
    conversation = new_conversation(alice)
    for _ in range(20):
        post_message(alice, conversation, "x" * 1_000_000)

    page = read(alice, CHANGES, after=0)

    assert 16 <= len(page["changes"]) <= 18
    assert page["last_sequence"] == 21
    assert len(list(changes_after(alice, 0))) == 21


def test_list_changes_has_the_tags_of_the_objects(alice: httpx.Client, rows: Rows) -> None:
    change(alice, conversation_of(rows), metadata={"a": [1, 2.5, "é"]})
    change(alice, run_of(rows), status="running")
    alice.put(SETTINGS, json={"enabled_tools": ["t"]})

    found = list(changes_after(alice, 0))

    paths = {
        "conversation": conversation_of(rows),
        "message": f"/messages/{rows['message_id']}",
        "run": run_of(rows),
        "chat_attachment": f"/chat-attachments/{rows['attachment_id']}",
        "settings": SETTINGS,
    }
    tags: dict[str, str | None]
    tags = {kind: alice.get(path).headers["etag"] for kind, path in paths.items()}
    tags |= {"share": None, "link": None}  # no operation returns a single one
    assert {each["type"].partition(".")[0] for each in found} == tags.keys()
    assert [each["etag"] for each in found] == [
        tags[each["type"].partition(".")[0]] for each in found
    ]


def test_list_changes_has_no_tag_of_what_was_deleted(alice: httpx.Client, rows: Rows) -> None:
    alice.delete(conversation_of(rows))

    found = {each["type"]: each for each in changes_after(alice, 0)}

    run = alice.get(run_of(rows))
    assert {kind: each["etag"] for kind, each in found.items()} == {
        "conversation.created": None,
        "run.created": run.headers["etag"],
        "chat_attachment.created": None,
        "message.created": None,
        "message.updated": None,
        "link.created": None,
        "share.created": None,
        "conversation.deleted": None,
    }
    assert run.json()["conversation_id"] is None
    assert found["run.created"]["conversation_id"] == rows["conversation_id"]


def test_list_changes_shows_only_the_users_own(
    alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    assert read(bob, CHANGES) == {"changes": [], "limit": 100, "last_sequence": 0}
    assert read(bob, CHANGES, after=0)["changes"] == []

    new_run(bob)

    assert [each["type"] for each in changes_after(bob, 0)] == ["run.created"]
    assert position(alice) == 7


def test_list_changes_refuses_positions_beyond_the_end(alice: httpx.Client, rows: Rows) -> None:
    end = position(alice)

    for after in (end + 1, 2**53 - 1):
        problem = assert_problem(alice.get(CHANGES, params={"after": after}), 410)
        assert problem["type"] == "/problems/position-expired"
    assert read(alice, CHANGES, after=end)["changes"] == []


def test_list_changes_refuses_positions_before_the_oldest_change(
    alice: httpx.Client, rows: Rows, database: Any
) -> None:
    for number in range(2):
        change(alice, conversation_of(rows), title=f"Title {number}")
    assert position(alice) == 9
    user = read(alice, SETTINGS)["user_id"]
    with database.cursor() as cursor:
        cursor.execute("DELETE FROM changes WHERE user_id = %s AND sequence <= 7", [user])

    for after in range(7):
        assert_problem(alice.get(CHANGES, params={"after": after}), 410)
    assert [each["sequence"] for each in changes_after(alice, 7)] == [8, 9]


@pytest.mark.parametrize("name", ["after", "limit"])
def test_list_changes_refuses_invalid_parameters(alice: httpx.Client, name: str) -> None:
    for value in ("-1", "1.5", "x", "", "9" * 19, "501" if name == "limit" else str(2**53)):
        response = alice.get(CHANGES, params={name: value})
        assert refusals(response) == {("query", f"/{name}")}


def test_list_changes_numbers_a_long_log_in_steps(alice: httpx.Client, database: Any) -> None:
    user = read(alice, SETTINGS)["user_id"]
    with database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO changes (user_id, type) SELECT %s, 'run.updated'"
            " FROM generate_series(1, 12345)",
            [user],
        )

    assert position(alice) == 12345
    found: list[Json] = list(changes_after(alice, 12000, limit=200))
    assert len(found) == 345
