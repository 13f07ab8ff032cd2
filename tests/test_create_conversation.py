"""create_conversation over HTTP: what it accepts, refuses, stores and returns."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.calls import (
    TIME,
    Json,
    get_conversation,
    ids,
    nested,
    new_conversation,
    read,
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
