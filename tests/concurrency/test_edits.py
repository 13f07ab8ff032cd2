"""Edits of a message at the same time: no version is lost, and a tag lets one of them win."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from tests.calls import (
    Json,
    at_once,
    get_conversation,
    new_conversation,
    post_message,
    read,
    read_all,
)
from tests.concurrency.races import race
from tests.contract import assert_problem
from tests.editing import edit, path_of, version_of, versions_of
from tests.sharing.members import NewClient, share, unshare


@race(usual=3, thorough=20)
def test_update_message_with_the_same_tag_succeeds_once(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    message = post_message(crowd[0], shared, "First")
    tag = {"If-Match": crowd[0].get(path_of(message)).headers["etag"]}

    def send(client: httpx.Client, number: int) -> httpx.Response:
        return client.patch(path_of(message), json={"content": f"{number}"}, headers=tag)

    answers = at_once([partial(send, client, number) for number, client in enumerate(crowd[:16])])

    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 15]
    assert versions_of(crowd[0], message) == [version_of(message), version_of(won)]
    assert read(crowd[0], path_of(message)) == won


@race(usual=2, thorough=10)
def test_update_message_without_a_tag_keeps_every_version(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    message = post_message(crowd[0], shared, "First")

    def write(client: httpx.Client, number: int) -> list[Json]:
        name = "metadata" if number % 2 else "content"
        values = [f"{number}-{n}" for n in range(4)]
        return [
            edit(client, message, **{name: {"v": value} if number % 2 else value})
            for value in values
        ]

    written = at_once([partial(write, client, n) for n, client in enumerate(crowd[:8])])

    made = sorted((each for states in written for each in states), key=lambda m: m["version"])
    assert [each["version"] for each in made] == list(range(2, 34))
    assert versions_of(crowd[0], message) == list(map(version_of, [message, *made]))
    times = [each["edited_at"] for each in made]
    assert times == sorted(set(times))
    assert read(crowd[0], path_of(message)) == made[-1]
    preview = get_conversation(crowd[0], shared)["last_message"]["content"]
    assert preview == made[-1]["content"]


@race(usual=2, thorough=10)
def test_update_message_while_messages_are_posted_keeps_the_preview_right(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    message = post_message(crowd[0], shared, "First")

    def write(client: httpx.Client) -> list[Any]:
        return [post_message(client, shared, f"Later {n}") for n in range(4)]

    def rewrite(client: httpx.Client, number: int) -> list[Any]:
        return [edit(client, message, content=f"Edited {number}-{n}") for n in range(4)]

    acts: list[Callable[[], Any]] = [partial(write, client) for client in crowd[:4]]
    acts += [partial(rewrite, client, number) for number, client in enumerate(crowd[4:8])]
    at_once(acts)

    stored = read_all(crowd[0], f"/conversations/{shared['id']}/messages")
    now = get_conversation(crowd[0], shared)
    assert now["message_count"] == len(stored) == 17
    assert now["last_message"]["content"] == stored[-1]["content"]
    assert now["updated_at"] == stored[-1]["created_at"]


@race(usual=3, thorough=20)
def test_update_message_while_the_conversation_is_deleted(
    crowd: list[httpx.Client], attempt: int
) -> None:
    conversation = new_conversation(crowd[0])
    made = [post_message(crowd[0], conversation, f"{number}") for number in range(8)]

    def delete() -> list[int]:
        return [crowd[9].delete(f"/conversations/{conversation['id']}").status_code]

    def rewrite(client: httpx.Client, message: Json) -> list[int]:
        return [
            client.patch(path_of(message), json={"content": f"Edited {n}"}).status_code
            for n in range(3)
        ]

    acts: list[Callable[[], list[int]]] = [
        partial(rewrite, *each) for each in zip(crowd, made, strict=False)
    ]
    *edited, deleted = at_once([*acts, delete])

    assert deleted == [204]
    for statuses in edited:
        assert set(statuses) <= {200, 404}
        assert statuses == sorted(statuses)
    for message in made:
        assert_problem(crowd[0].get(f"{path_of(message)}/versions"), 404)


@race(usual=1, thorough=5)
def test_update_message_while_the_member_is_removed(
    crowd: list[httpx.Client], new_client: NewClient, shared: Json, attempt: int
) -> None:
    """No version is stored after the response to the removal."""
    member = f"member {attempt} of {shared['id']}"
    share(crowd[0], shared["id"], member, "editor")
    client = new_client(member)
    messages = [post_message(client, shared, "First") for _ in range(4)]
    removed = threading.Event()

    def rewrite(client: httpx.Client, message: Json) -> list[int]:
        answers: list[int] = []
        while not answers or not removed.is_set():
            body = {"content": f"Edited {len(answers)}"}
            answers.append(client.patch(path_of(message), json=body).status_code)
        return [*answers, client.patch(path_of(message), json={"content": "Late"}).status_code]

    def remove() -> list[int]:
        removed.wait(0.2)
        assert unshare(crowd[0], shared["id"], member).status_code == 204
        removed.set()
        return [read(crowd[0], path_of(each))["version"] for each in messages]

    acts: list[Callable[[], list[int]]] = [
        partial(rewrite, new_client(member), each) for each in messages
    ]
    *edited, at_removal = at_once([*acts, remove])

    assert [read(crowd[0], path_of(each))["version"] for each in messages] == at_removal
    for statuses, version in zip(edited, at_removal, strict=True):
        assert statuses == sorted(statuses)
        assert statuses[-1] == 403
        assert statuses.count(200) == version - 1
