"""Reading, changing and deleting conversations over HTTP."""

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    Json,
    change,
    get_conversation,
    ids,
    new_conversation,
    new_run,
    post_message,
    read,
    read_all,
    refusals,
)
from tests.test_create_conversation import FULL


def test_get_conversation_lists_messages_oldest_first(
    alice: httpx.Client, conversation: Json
) -> None:
    posted = [post_message(alice, conversation, f"message {number}") for number in range(5)]

    found = read(alice, f"/conversations/{conversation['id']}")

    assert found.pop("messages") == posted
    assert found == read(alice, "/conversations")["conversations"][0]


def test_get_conversation_omits_messages_on_request(
    alice: httpx.Client, conversation: Json
) -> None:
    post_message(alice, conversation, "hello")

    found = read(alice, f"/conversations/{conversation['id']}", include_messages="false")

    assert "messages" not in found
    assert found["message_count"] == 1


def test_get_conversation_limits_messages(alice: httpx.Client, conversation: Json) -> None:
    posted = [post_message(alice, conversation, f"message {number}") for number in range(103)]

    path = f"/conversations/{conversation['id']}"

    assert read(alice, path)["messages"] == posted[:100]
    assert read(alice, path, message_limit=500)["messages"] == posted
    assert read(alice, path, message_limit=1)["messages"] == posted[:1]
    assert read(alice, path, message_limit=3, message_offset=99)["messages"] == posted[99:102]
    assert read(alice, path, message_offset=2**31 - 1)["messages"] == []
    assert read(alice, path, message_limit=1)["message_count"] == 103


def test_get_conversation_accepts_an_uppercase_id(alice: httpx.Client, conversation: Json) -> None:
    assert read(alice, f"/conversations/{conversation['id'].upper()}")["id"] == conversation["id"]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_unknown_conversation_is_not_found(alice: httpx.Client, method: str) -> None:
    body = {"title": "Nothing"} if method == "PATCH" else None

    response = alice.request(method, f"/conversations/{NOBODYS_ID}", json=body)

    assert response.status_code == 404
    assert response.json()["type"] == "/problems/not-found"


def test_update_conversation_changes_only_the_given_properties(
    alice: httpx.Client, subtests: pytest.Subtests
) -> None:
    for name, value in [
        ("title", "Harbour Street 🚢"),
        ("title", "New Conversation"),
        ("is_private", False),
        ("model", "another-model"),
        ("agent_id", "019bb138-1000-71fb-ba17-0b3339263059"),
        ("metadata", {"quite": {"another": "object"}}),
        ("metadata", {}),
        ("model", None),
        ("agent_id", None),
        ("metadata", None),
    ]:
        with subtests.test(name, value=value):
            created = new_conversation(alice, **FULL)
            changed = change(alice, f"/conversations/{created['id']}", **{name: value})
            assert changed == created | {name: value}
            assert get_conversation(alice, created) == changed
            assert read(alice, "/conversations")["conversations"][0] == changed


def test_update_conversation_changes_all_properties_together(
    alice: httpx.Client, conversation: Json
) -> None:
    changes = {name: value for name, value in FULL.items() if name != "source"}

    changed = change(alice, f"/conversations/{conversation['id']}", **changes)

    assert changed == conversation | changes


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": None},
        {"is_private": None},
        {"title": None, "is_private": None},
        {"source": "another", "user_id": "bob", "message_count": 5, "updated_at": None, "x": {}},
    ],
)
def test_update_conversation_without_changes_keeps_everything(
    alice: httpx.Client, body: Json
) -> None:
    created = new_conversation(alice, **FULL)

    assert change(alice, f"/conversations/{created['id']}", **body) == created
    assert get_conversation(alice, created) == created


def test_update_conversation_rejects_wrong_values(
    alice: httpx.Client, subtests: pytest.Subtests
) -> None:
    created = new_conversation(alice, **FULL)
    for name, value in [
        ("title", ""),
        ("title", "x" * 256),
        ("title", 1),
        ("is_private", "yes"),
        ("model", ""),
        ("model", "x" * 256),
        ("agent_id", ""),
        ("agent_id", "x" * 256),
        ("metadata", "text"),
        ("metadata", [{}]),
    ]:
        with subtests.test(name, value=value):
            body = {"title": "Never", "model": "never"} | {name: value}
            response = alice.patch(f"/conversations/{created['id']}", json=body)
            assert refusals(response) == {("body", f"/{name}")}
            assert get_conversation(alice, created) == created


def test_update_conversation_keeps_its_place_in_the_list(alice: httpx.Client) -> None:
    first, second, third = (new_conversation(alice) for _ in range(3))

    change(alice, f"/conversations/{first['id']}", title="Renamed", metadata={"a": 1})
    post_message(alice, second, "hello")

    by_activity = read_all(alice, "/conversations", order_by="updated_at")
    assert ids(by_activity) == ids([second, third, first])
    assert ids(read_all(alice, "/conversations")) == ids([third, second, first])
    assert by_activity[2]["updated_at"] == first["updated_at"]
    assert by_activity[0]["updated_at"] > second["updated_at"]


def test_delete_conversation_deletes_its_messages(alice: httpx.Client, conversation: Json) -> None:
    posted = [post_message(alice, conversation, "hello") for _ in range(3)]
    path = f"/conversations/{conversation['id']}"

    response = alice.delete(path)

    assert (response.status_code, response.content) == (204, b"")
    assert alice.get(path).status_code == 404
    assert alice.get(f"{path}/messages").status_code == 404
    message = {"role": "user", "content": "too late"}
    assert alice.post(f"{path}/messages", json=message).status_code == 404
    assert alice.patch(path, json={"title": "too late"}).status_code == 404
    assert [alice.get(f"/messages/{gone}").status_code for gone in ids(posted)] == [404] * 3
    assert read(alice, "/conversations")["total"] == 0


def test_delete_conversation_twice_is_not_found(alice: httpx.Client, conversation: Json) -> None:
    alice.delete(f"/conversations/{conversation['id']}")

    assert alice.delete(f"/conversations/{conversation['id']}").status_code == 404


def test_delete_conversation_keeps_its_runs(alice: httpx.Client, conversation: Json) -> None:
    run = new_run(alice, conversation_id=conversation["id"], status="running", input={"a": 1})
    post_message(alice, conversation, "hello", run_id=run["id"])

    alice.delete(f"/conversations/{conversation['id']}")

    assert read(alice, f"/runs/{run['id']}") == run | {"conversation_id": None}
    assert read(alice, "/runs")["total"] == 1
    assert read(alice, "/runs", conversation_id=conversation["id"])["total"] == 0
    ended = change(alice, f"/runs/{run['id']}", status="succeeded")
    assert (ended["status"], ended["conversation_id"]) == ("succeeded", None)


def test_delete_conversation_keeps_other_conversations(
    alice: httpx.Client, conversation: Json
) -> None:
    other = new_conversation(alice, title="Stays")
    message = post_message(alice, other, "stays too")
    run = new_run(alice, conversation_id=other["id"])

    alice.delete(f"/conversations/{conversation['id']}")

    (kept,) = read(alice, "/conversations")["conversations"]
    assert (kept["id"], kept["message_count"]) == (other["id"], 1)
    assert read(alice, f"/messages/{message['id']}") == message
    assert read(alice, f"/runs/{run['id']}") == run
