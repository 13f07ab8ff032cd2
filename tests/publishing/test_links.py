"""The owner's side of public links: create, list and delete them."""

import hashlib
import re
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    Json,
    at_once,
    get_conversation,
    new_conversation,
    post_message,
    read,
    refusals,
)
from tests.contract import assert_problem
from tests.mirror import changes_after, position
from tests.publishing.publishing import assert_gone, links_of, publish, shown
from tests.sharing.members import share, user_of

UPGRADES = Path(__file__).parents[2] / "docs" / "operations" / "upgrades.md"
TOMORROW = "2036-04-01T00:00:00Z"


def test_create_link_returns_a_new_secret_each_time(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json
) -> None:
    response = alice.post(links_of(conversation), json={})
    link = response.json()

    assert response.status_code == 201
    assert response.headers["location"] == links_of(conversation)
    assert response.headers["cache-control"] == "no-store"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", link["secret"])
    assert link["url"] == f"/shared/{link['secret']}"
    assert (link["expires_at"], link["with_attachments"]) == (None, False)
    assert shown(anonymous, link)["shared_at"] == link["created_at"]
    assert publish(alice, conversation)["secret"] != link["secret"]


def test_create_link_stores_only_the_hash_of_the_secret(
    alice: httpx.Client, conversation: Json, database: Any
) -> None:
    link = publish(alice, conversation)
    hashed = hashlib.sha256(link["secret"].encode()).hexdigest()

    with database.cursor() as cursor:
        for table in ("links", "published_conversations"):
            cursor.execute(
                f"SELECT count(*) FILTER (WHERE secret_hash = %s),"
                f" count(*) FILTER (WHERE strpos({table}::text, %s) > 0) FROM {table}",
                [hashed, link["secret"]],
            )
            assert cursor.fetchone() == (1, 0)
        kept = "SELECT count(*) FROM idempotency_keys WHERE body LIKE '%%secret%%' AND user_id = %s"
        cursor.execute(kept, [user_of(alice)])
        assert cursor.fetchone() == (0,)


def test_create_link_ignores_an_idempotency_key(alice: httpx.Client, conversation: Json) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    made = [alice.post(links_of(conversation), json={}, headers=key).json() for _ in range(2)]

    assert len({link["secret"] for link in made}) == 2


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2036-04-01T00:00:00Z", "2036-04-01T00:00:00.000000Z"),
        ("2036-04-01t02:30:00.5+02:30", "2036-04-01T00:00:00.500000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        (None, None),
    ],
)
def test_create_link_takes_any_time_in_the_future(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json, text: str, stored: str
) -> None:
    link = publish(alice, conversation, expires_at=text)

    assert link["expires_at"] == stored
    assert shown(anonymous, link)["expires_at"] == stored


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "2036-12-31T23:59:60Z",
        "2036-02-30T00:00:00Z",
        "2036-04-01",
        "tomorrow",
        "",
        " 2036-04-01T00:00:00Z",
    ],
)
def test_create_link_refuses_other_times(
    alice: httpx.Client, conversation: Json, text: str
) -> None:
    response = alice.post(links_of(conversation), json={"expires_at": text})

    assert refusals(response) == {("body", "/expires_at")}
    assert read(alice, links_of(conversation))["links"] == []


def test_list_links_shows_those_that_work_newest_first_without_secrets(
    alice: httpx.Client, conversation: Json
) -> None:
    assert read(alice, links_of(conversation)) == {"links": []}
    made = [publish(alice, conversation, expires_at=TOMORROW) for _ in range(3)]
    alice.delete(f"{links_of(conversation)}/{made[1]['id']}")

    found = alice.get(links_of(conversation))

    expected = [
        {name: value for name, value in link.items() if name not in ("secret", "url")}
        for link in (made[2], made[0])
    ]
    assert found.json() == {"links": expected}
    assert not [link for link in made if link["secret"] in found.text]


def test_delete_link_ends_it_at_once(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json
) -> None:
    link, other = publish(alice, conversation), publish(alice, conversation)
    path = f"{links_of(conversation)}/{link['id']}"

    assert alice.delete(path).status_code == 204

    assert_gone(anonymous, link["secret"])
    assert shown(anonymous, other)["messages"] == []
    assert_problem(alice.delete(path), 404)
    assert_problem(alice.delete(f"{links_of(conversation)}/{NOBODYS_ID}"), 404)


def test_delete_link_needs_the_conversation_of_the_link(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json
) -> None:
    link = publish(alice, conversation)
    other = new_conversation(alice)

    assert_problem(alice.delete(f"{links_of(other)}/{link['id']}"), 404)

    assert shown(anonymous, link)["messages"] == []


@pytest.mark.parametrize("role", ["viewer", "editor", None])
def test_links_are_for_the_owner_only(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, role: str | None
) -> None:
    link = publish(alice, conversation)
    if role:
        share(alice, conversation["id"], bob, role)

    for response in (
        bob.post(links_of(conversation), json={}),
        bob.get(links_of(conversation)),
        bob.delete(f"{links_of(conversation)}/{link['id']}"),
    ):
        assert assert_problem(response, 403)["type"] == "/problems/forbidden"
        assert link["secret"] not in response.text


def test_links_of_no_conversation(alice: httpx.Client) -> None:
    nobodys = {"id": NOBODYS_ID}

    assert_problem(alice.post(links_of(nobodys), json={}), 404)
    assert_problem(alice.get(links_of(nobodys)), 404)
    assert_problem(alice.delete(f"{links_of(nobodys)}/{NOBODYS_ID}"), 404)


def test_create_link_leaves_the_conversation_as_it_is(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    before, told = get_conversation(alice, conversation), position(bob)
    after = position(alice)

    link = publish(alice, conversation)
    alice.delete(f"{links_of(conversation)}/{link['id']}")

    assert get_conversation(alice, conversation) == before
    assert list(changes_after(bob, told)) == []
    assert [
        (each["type"], each["id"], each["conversation_id"], each["etag"])
        for each in changes_after(alice, after)
    ] == [(f"link.{how}", link["id"], conversation["id"], None) for how in ("created", "deleted")]


def test_create_link_at_the_limit_by_many_at_once(alice: httpx.Client, conversation: Json) -> None:
    for _ in range(95):
        publish(alice, conversation)

    answers = at_once([lambda: alice.post(links_of(conversation), json={})] * 12)

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] * 5 + [409] * 7
    found = read(alice, links_of(conversation))["links"]
    assert len(found) == 100
    alice.delete(f"{links_of(conversation)}/{found[0]['id']}")
    publish(alice, conversation)


def test_create_link_does_not_count_expired_ones(
    alice: httpx.Client, conversation: Json, database: Any
) -> None:
    for _ in range(100):
        publish(alice, conversation, expires_at=TOMORROW)
    with database.cursor() as cursor:
        cursor.execute("UPDATE links SET expires_at = now() WHERE user_id = %s", [user_of(alice)])

    assert read(alice, links_of(conversation))["links"] == []
    publish(alice, conversation)


def test_create_link_refuses_a_conversation_with_too_much_text(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json
) -> None:
    for _ in range(4):
        post_message(alice, conversation, "ä" * 520_000)
    link = publish(alice, conversation)
    post_message(alice, conversation, "x" * 100_000)

    response = alice.post(links_of(conversation), json={})

    assert refusals(response) == {("path", "/conversation_id")}
    assert "4 MiB" in response.text
    assert len(shown(anonymous, link)["messages"]) == 4
    assert len(read(alice, links_of(conversation))["links"]) == 1


def test_delete_conversation_ends_its_links(
    alice: httpx.Client, anonymous: httpx.Client, database: Any
) -> None:
    conversations = [new_conversation(alice) for _ in range(3)]
    made = [publish(alice, each) for each in conversations for _ in range(2)]

    one, *others = conversations
    assert alice.delete(f"/conversations/{one['id']}").status_code == 204
    for link in made[:2]:
        assert_gone(anonymous, link["secret"])
    assert shown(anonymous, made[2])["messages"] == []
    body = {"action": "delete", "ids": [each["id"] for each in others]}
    assert alice.post("/conversations/bulk", json=body).status_code == 200
    for link in made:
        assert_gone(anonymous, link["secret"])
    hashes = [hashlib.sha256(link["secret"].encode()).hexdigest() for link in made]
    with database.cursor() as cursor:
        for table in ("links", "published_conversations"):
            cursor.execute(f"SELECT count(*) FROM {table} WHERE secret_hash = ANY(%s)", [hashes])
            assert cursor.fetchone() == (0,)


def test_links_of_a_conversation_that_an_older_server_deleted_can_be_found(
    alice: httpx.Client, anonymous: httpx.Client, database: Any
) -> None:
    conversation = new_conversation(alice)
    gone, kept = publish(alice, conversation), publish(alice, new_conversation(alice))
    (sql,) = re.findall("(?s)```sql\n([^`]*published_conversations[^`]*)```", UPGRADES.read_text())

    with database.cursor() as cursor:
        cursor.execute("DELETE FROM conversations WHERE id = %s", [conversation["id"]])
        assert shown(anonymous, gone)["messages"] == []
        cursor.execute(sql)

    assert_gone(anonymous, gone["secret"])
    assert shown(anonymous, kept)["messages"] == []


def test_links_created_while_the_conversation_is_deleted_do_not_remain(
    alice: httpx.Client, anonymous: httpx.Client
) -> None:
    for _ in range(5):
        conversation = new_conversation(alice)

        post = partial(alice.post, links_of(conversation), json={})
        answers = at_once(
            [*[post] * 4, partial(alice.delete, f"/conversations/{conversation['id']}")]
        )

        assert {answer.status_code for answer in answers[:-1]} <= {201, 404}
        for answer in answers[:-1]:
            if answer.status_code == 201:
                assert_gone(anonymous, answer.json()["secret"])


def test_times_of_links_are_those_of_the_database(alice: httpx.Client, conversation: Json) -> None:
    made = datetime.fromisoformat(publish(alice, conversation)["created_at"])

    assert abs(datetime.now(UTC) - made) < timedelta(minutes=1)
