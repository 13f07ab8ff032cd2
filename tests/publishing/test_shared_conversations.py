"""What a public link shows, and what it never shows."""

import json
import secrets
from typing import Any

import httpx
import pytest

from tests.attaching import attach
from tests.calls import (
    Json,
    change,
    new_attachment,
    new_conversation,
    new_run,
    post_message,
    rows,
)
from tests.contract import assert_problem
from tests.publishing.publishing import assert_gone, links_of, publish, shown
from tests.sharing.members import share, user_of
from tests.tokens import SETTINGS

FILE: Json = {
    "filename": "plan.pdf",
    "file_url": "s3://leases/plan.pdf",
    "mime_type": "application/pdf",
    "size_bytes": 12,
    "added_to_library": True,
    "library_document_id": "doc-secret",
    "parsed_content": "parsed-secret",
}
HIDDEN = ("doc-secret", "parsed-secret", "meta-secret", "tool-secret", "agent-secret", "down")


@pytest.fixture
def conversation(alice: httpx.Client, bob: httpx.Client) -> Json:
    """A shared conversation with everything that a message can have."""
    made = new_conversation(
        alice,
        title="Lease offers",
        source="source-secret",
        model="model-secret",
        agent_id="agent-secret",
        metadata={"a": "meta-secret"},
    )
    share(alice, made["id"], bob, "editor")
    attach(alice, made, new_attachment(alice, **FILE))
    post_message(bob, made, "Bob asks")
    run = new_run(alice, conversation_id=made["id"], input={"a": "input-secret"})
    answer = post_message(
        alice,
        made,
        "The answer",
        role="assistant",
        run_id=run["id"],
        metadata={"a": "meta-secret"},
        tool_calls=[{"tool_name": "tool-secret"}],
        routing_decision={"selected_agents": ["agent-secret"]},
        attachments=[{"name": "n", "type": "", "url": "url-secret", "size": 1}],
    )
    rated = alice.put(f"/messages/{answer['id']}/feedback", json={"rating": "down"})
    assert rated.status_code == 200
    return made


def test_link_shows_title_and_messages_and_nothing_else(
    alice: httpx.Client, bob: httpx.Client, anonymous: httpx.Client, conversation: Json
) -> None:
    link = publish(alice, conversation)
    page = rows(alice.get(f"/conversations/{conversation['id']}/messages").json())

    response = anonymous.get(f"/shared/{link['secret']}")

    assert response.json() == {
        "title": "Lease offers",
        "shared_at": link["created_at"],
        "expires_at": None,
        "messages": [
            {name: message[name] for name in ("role", "content", "created_at")}
            | {"attachments": []}
            for message in page
        ],
    }
    ids = [each["id"] for each in page] + [page[2]["run_id"], conversation["id"], link["id"]]
    everything = response.text + str(response.headers.raw)
    hidden = [*HIDDEN, *ids, user_of(alice), user_of(bob), "-secret", "s3://"]
    assert [text for text in hidden if text in everything] == []


def test_link_shows_attachments_only_if_it_was_asked_to(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json
) -> None:
    link = publish(alice, conversation, with_attachments=True)

    found = shown(anonymous, link)["messages"]

    names = ("filename", "mime_type", "size_bytes", "file_url")
    assert link["with_attachments"] is True
    assert found[0]["attachments"] == [{name: FILE[name] for name in names}]
    assert [message["attachments"] for message in found[1:]] == [[], []]
    assert "secret" not in json.dumps(found)


def test_link_shows_the_conversation_as_it_was(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json
) -> None:
    link = publish(alice, conversation, with_attachments=True)
    before = anonymous.get(f"/shared/{link['secret']}")

    post_message(alice, conversation, "A new message")
    change(alice, f"/conversations/{conversation['id']}", title="Another title")
    for attachment in rows(alice.get("/chat-attachments").json()):
        assert alice.delete(f"/chat-attachments/{attachment['id']}").status_code == 204

    after = anonymous.get(f"/shared/{link['secret']}")
    assert after.content == before.content
    assert after.headers["etag"] == before.headers["etag"]
    newer = shown(anonymous, publish(alice, conversation))
    assert newer["title"] == "Another title"
    assert newer["messages"][-1]["content"] == "A new message"


def test_link_to_an_empty_conversation(alice: httpx.Client, anonymous: httpx.Client) -> None:
    link = publish(alice, new_conversation(alice))

    assert shown(anonymous, link)["messages"] == []


def test_link_shows_no_instructions_and_no_inactive_branch(
    alice: httpx.Client, anonymous: httpx.Client
) -> None:
    conversation = new_conversation(alice)
    post_message(alice, conversation, "Never mention the budget", role="system")
    post_message(alice, conversation, "Which one costs less?")
    first = post_message(alice, conversation, "Mill Lane.", role="assistant")
    post_message(alice, conversation, "Harbour Street.", role="assistant", sibling_of=first["id"])

    found = shown(anonymous, publish(alice, conversation))

    texts = [message["content"] for message in found["messages"]]
    assert texts == ["Which one costs less?", "Harbour Street."]


@pytest.mark.parametrize("text", ['"\\\u2028', "\x01\x7f", "</script>", "\U0001f469‍\U0001f680"])
def test_link_shows_any_text(alice: httpx.Client, anonymous: httpx.Client, text: str) -> None:
    conversation = new_conversation(alice, title=text)
    post_message(alice, conversation, text)

    found = shown(anonymous, publish(alice, conversation))

    assert (found["title"], found["messages"][0]["content"]) == (text, text)


ODD = [
    "x",
    "A" * 43,
    "B" * 512,
    "a/b",
    "a%2Fb",
    "%00",
    "%ff%fe",
    "%ED%A0%80",
    "..%2f",
    "a%20b",
    "%F0%9F%98%80",
    "%27%20OR%20true",
    "null",
    "{secret}",
]


@pytest.mark.parametrize("secret", ODD, ids=lambda secret: secret[:20])
def test_get_shared_conversation_answers_odd_secrets_like_wrong_ones(
    anonymous: httpx.Client, secret: str
) -> None:
    assert_gone(anonymous, secret)


def test_get_shared_conversation_answers_similar_secrets_like_wrong_ones(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json, database: Any
) -> None:
    secret = publish(alice, conversation)["secret"]
    with database.cursor() as cursor:
        cursor.execute("SELECT secret_hash FROM links ORDER BY created_at DESC LIMIT 1")
        (hashed,) = cursor.fetchone()

    for similar in (f"{secret}=", secret[:-1], secret.swapcase(), f"{secret}%00", hashed):
        assert_gone(anonymous, similar)
    assert_gone(anonymous, secrets.token_urlsafe(32))


def test_get_shared_conversation_after_the_end_of_the_link(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json, database: Any
) -> None:
    link = publish(alice, conversation, expires_at="2036-04-01T00:00:00Z")
    tag = anonymous.get(f"/shared/{link['secret']}").headers["etag"]
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE published_conversations SET expires_at = now()"
            " WHERE secret_hash IN (SELECT secret_hash FROM links WHERE id = %s)",
            [link["id"]],
        )

    assert_gone(anonymous, link["secret"])
    known = {"If-None-Match": tag}
    assert_problem(anonymous.get(f"/shared/{link['secret']}", headers=known), 404)


def test_get_shared_conversation_tells_browsers_and_search_engines_what_to_do(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json
) -> None:
    path = f"/shared/{publish(alice, conversation)['secret']}"

    response = anonymous.get(path)
    head = anonymous.head(path)
    unchanged = anonymous.get(path, headers={"If-None-Match": response.headers["etag"]})

    assert (head.status_code, head.content) == (200, b"")
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    for each in (response, head, unchanged):
        assert each.headers["x-robots-tag"] == "noindex"
        assert each.headers["referrer-policy"] == "no-referrer"
        assert each.headers["cache-control"] == "no-store"
        assert each.headers["etag"] == response.headers["etag"]
    assert head.headers["content-length"] == response.headers["content-length"]
    assert (anonymous.head("/shared/wrong").status_code, anonymous.post(path).status_code) == (
        404,
        405,
    )
    assert refused_tag(anonymous, path) == 422


def refused_tag(client: httpx.Client, path: str) -> int:
    return client.get(path, headers={"If-None-Match": "not a tag"}).status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer broken"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"Run-Lease": "broken"},
        {"Idempotency-Key": ""},
        {"Cookie": "session=1"},
    ],
)
def test_get_shared_conversation_does_not_read_a_token(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json, headers: dict[str, str]
) -> None:
    path = f"/shared/{publish(alice, conversation)['secret']}"
    plain = anonymous.get(path)

    response = anonymous.get(path, headers=headers)

    assert (response.status_code, response.content) == (200, plain.content)
    assert response.headers["etag"] == plain.headers["etag"]


def test_get_shared_conversation_is_the_same_for_users(
    alice: httpx.Client, bob: httpx.Client, anonymous: httpx.Client, conversation: Json
) -> None:
    secret = publish(alice, conversation)["secret"]

    answers = [client.get(f"/shared/{secret}") for client in (alice, bob, anonymous)]

    assert len({(answer.status_code, answer.content) for answer in answers}) == 1


def test_a_secret_gives_access_to_nothing_else(
    alice: httpx.Client, anonymous: httpx.Client, conversation: Json
) -> None:
    secret = publish(alice, conversation)["secret"]
    token = {"Authorization": f"Bearer {secret}"}

    for path in (f"/conversations/{conversation['id']}", links_of(conversation), SETTINGS):
        assert_problem(anonymous.get(path), 401)
        assert_problem(anonymous.get(path, headers=token), 401)
