"""Creating, reading, changing and deleting conversations over HTTP."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    TIME,
    Json,
    change,
    get_conversation,
    ids,
    nested,
    new_conversation,
    new_run,
    post_message,
    read,
    read_all,
    refusals,
)
from tests.contract import CONTRACT

FULL: Json = {
    "title": "Lease offers",
    "source": "agent-manager",
    "model": "llama-3.3-70b",
    "agent_id": "document-agent",
    "is_private": True,
    "metadata": {"team": "facilities"},
}
DEFAULTS: Json = {
    "title": "New Conversation",
    "source": None,
    "model": None,
    "agent_id": None,
    "is_private": False,
    "metadata": None,
    "message_count": 0,
    "last_message": None,
}
LONGEST = {"title": 255, "source": 50, "model": 255, "agent_id": 255}
TEXTS = {
    "accents": "Größe, façade, Łódź, naïve",
    "decomposed": "e\u0301 is not \u00e9",
    "cjk": "租约比较",
    "emoji": "👩🏽‍🚀🇩🇪 ✈️",
    "right to left": "مقارنة עברית \u202eoverride\u202c",
    "quotes": '\'; DROP TABLE "conversations"; -- \\ %s {{x}} ${y}',
    "control": "tab\tline\nreturn\rbell\u0007del\u007f",
    "noncharacters": "\ufeff\uffff\U0010ffff",
    "spaces": "  kept  ",
    "one character": "a",
}
OBJECTS: dict[str, Json] = {
    "empty": {},
    "empty inside": {"": "", "list": [], "object": {}, "null": None, "false": False},
    "names": {"ключ": 1, "🔑": 2, "a/b~c": 3, '"\\': 4, "$ref": "#/x", "__proto__": {}},
    "integers": {"least": -(2**63), "most": 2**64 - 1, "beyond a double": 2**53 + 1},
    "floats": {"a": 0.1, "b": 1e-300, "c": 1.7976931348623157e308, "d": -2.5e-7, "e": 1e22},
    "mixed types": {"list": [1, "two", None, [True, {"three": 3.5}]]},
    "deepest allowed": nested(99),
    "wide": {f"property {number}": number for number in range(2000)},
}


@pytest.mark.parametrize(
    "request_body",
    [
        pytest.param({}, id="no body"),
        pytest.param({"json": {}}, id="empty object"),
        pytest.param({"json": dict.fromkeys(FULL)}, id="nulls"),
    ],
)
def test_create_conversation_applies_defaults(alice: httpx.Client, request_body: Json) -> None:
    response = alice.post("/conversations", **request_body)

    assert response.status_code == 201
    created = response.json()
    assert created == created | DEFAULTS
    assert created.keys() == CONTRACT["components"]["schemas"]["Conversation"]["properties"].keys()


def test_create_conversation_stores_every_property(alice: httpx.Client) -> None:
    created = new_conversation(alice, **FULL)

    assert created == created | FULL
    assert get_conversation(alice, created) == created
    assert read(alice, "/conversations")["conversations"] == [created]


def test_create_conversation_stores_any_text(
    alice: httpx.Client, subtests: pytest.Subtests
) -> None:
    for kind, text in TEXTS.items():
        with subtests.test(kind):
            sent = {name: text[:length] for name, length in LONGEST.items()}
            created = new_conversation(alice, **sent)
            assert get_conversation(alice, created) == created | sent


def test_create_conversation_limits_texts_in_characters(
    alice: httpx.Client, subtests: pytest.Subtests
) -> None:
    for character in "xß租🚀":
        with subtests.test(character):
            longest = {name: character * length for name, length in LONGEST.items()}
            too_long = {name: text + character for name, text in longest.items()}

            created = new_conversation(alice, **longest)
            refused = alice.post("/conversations", json=too_long)

            assert created == created | longest
            assert refusals(refused) == {("body", f"/{name}") for name in LONGEST}


def test_create_conversation_stores_any_metadata(
    alice: httpx.Client, subtests: pytest.Subtests
) -> None:
    for kind, metadata in OBJECTS.items():
        with subtests.test(kind):
            created = new_conversation(alice, metadata=metadata)
            assert created["metadata"] == metadata
            assert get_conversation(alice, created) == created
            assert read(alice, "/conversations")["conversations"][0] == created


def test_create_conversation_ignores_unknown_properties(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    bobs = new_conversation(bob)
    unknown = {
        "id": bobs["id"],
        "user_id": bobs["user_id"],
        "message_count": 7,
        "last_message": {"role": "user"},
        "created_at": "1999-12-31T23:59:59.000000Z",
        "updated_at": 12,
        "auto_title": True,
        "last_position": -1,
        "": None,
    }

    created = new_conversation(alice, title="Mine", **unknown)

    assert created["id"] != bobs["id"]
    assert created["user_id"] != bobs["user_id"]
    assert created["message_count"] == 0
    assert created["created_at"] == created["updated_at"] > "2024"
    assert get_conversation(bob, bobs) == bobs


def test_create_conversation_rejects_wrong_values(
    alice: httpx.Client, subtests: pytest.Subtests
) -> None:
    wrong = {name: ["", 5, ["a"]] for name in LONGEST}
    wrong |= {"is_private": ["true", 1], "metadata": [[], "text"]}
    for name, value in [(name, value) for name, values in wrong.items() for value in values]:
        with subtests.test(name, value=value):
            response = alice.post("/conversations", json={name: value})
            assert refusals(response) == {("body", f"/{name}")}

    assert read(alice, "/conversations")["total"] == 0


def test_create_conversation_rejects_deeply_nested_metadata(alice: httpx.Client) -> None:
    response = alice.post("/conversations", json={"metadata": nested(101)})

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"].startswith("/metadata/deeper")


def test_create_conversation_returns_its_location(alice: httpx.Client) -> None:
    response = alice.post("/conversations", json=FULL)

    location = response.headers["location"]
    assert location == f"/conversations/{response.json()['id']}"
    assert read(alice, location) == response.json() | {"messages": []}


def test_create_conversation_sets_the_current_time(alice: httpx.Client) -> None:
    created = new_conversation(alice)

    assert TIME.fullmatch(created["created_at"])
    assert created["updated_at"] == created["created_at"]
    age = datetime.now(UTC) - datetime.fromisoformat(created["created_at"])
    assert abs(age) < timedelta(minutes=1)


def test_create_conversation_creates_ids_in_time_order(alice: httpx.Client) -> None:
    made = ids([new_conversation(alice) for _ in range(5)])

    assert made == sorted(set(made))
    assert [uuid.UUID(made_id).version for made_id in made] == [7] * 5


def test_create_conversation_belongs_to_the_user_of_the_token(
    new_client: Callable[..., httpx.Client],
) -> None:
    longest = "ü" * 200 + uuid.uuid4().hex + "🚀" * 23
    client = new_client(longest)

    created = new_conversation(client)

    assert len(longest) == 255
    assert created["user_id"] == longest
    assert read(client, "/conversations")["conversations"] == [created]


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
