"""What the entries of the log say, in which order, and to whom."""

import httpx
import pytest

from tests.calls import (
    change,
    ids,
    new_attachment,
    new_conversation,
    new_run,
    post_message,
    read,
)
from tests.change_log.sending import conversation_of, run_of
from tests.contract import Rows
from tests.mirror import CHANGES, SETTINGS, Mirror, changes_after, position, state


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


@pytest.mark.parametrize("was_seen", [False, True])
@pytest.mark.parametrize("deleted", ["conversation", "message"])
def test_mirror_forgets_the_attachments_of_a_deleted_message(
    alice: httpx.Client, deleted: str, was_seen: bool
) -> None:
    conversation, kept, gone = new_conversation(alice), new_attachment(alice), new_attachment(alice)
    mirror = Mirror(alice)
    message = post_message(alice, conversation, "See this.", attachment_ids=ids([gone]))
    objects = {"conversation": conversation, "message": message}
    if was_seen:
        mirror.follow()
    assert alice.delete(f"/{deleted}s/{objects[deleted]['id']}").status_code == 204

    mirror.follow()

    assert mirror.documents == state(alice)
    assert f"/chat-attachments/{kept['id']}" in mirror.documents
