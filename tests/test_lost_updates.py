"""Writers that send If-Match lose no update, and create no row twice."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import httpx
import pytest

from tests.calls import Json, at_once, attempts, create, new_conversation, new_run, read
from tests.contract import assert_problem
from tests.servers import Server
from tests.test_preconditions import SETTINGS, STALE

WRITERS = 4
ADDITIONS = 8


def clients_of(server: Server, user_id: str, count: int, stack: ExitStack) -> list[httpx.Client]:
    return [stack.enter_context(server.client(user_id)) for _ in range(count)]


def add_one(client: httpx.Client, method: str, path: str, change: Callable[[Json], Json]) -> int:
    """Retry the change until the tag matches; return the number of failed attempts."""
    for failures in range(1000):
        now = client.get(path)
        headers = {"If-Match": now.headers["etag"]}
        response = client.request(method, path, json=change(now.json()), headers=headers)
        if response.status_code == 200:
            return failures
        assert_problem(response, 412)
    raise AssertionError("the tag did not match a thousand times")


def add_to_metadata(now: Json) -> Json:
    return {"metadata": {"count": (now["metadata"] or {"count": 0})["count"] + 1}}


def add_to_output(now: Json) -> Json:
    return {"output": {"count": (now["output"] or {"count": 0})["count"] + 1}}


def add_to_tools(now: Json) -> Json:
    return {"enabled_tools": [*now["enabled_tools"], f"tool-{len(now['enabled_tools'])}"]}


@pytest.mark.parametrize(
    ("method", "make", "change", "count"),
    [
        (
            "PATCH",
            lambda client: f"/conversations/{new_conversation(client)['id']}",
            add_to_metadata,
            lambda now: now["metadata"]["count"],
        ),
        (
            "PATCH",
            lambda client: f"/runs/{new_run(client)['id']}",
            add_to_output,
            lambda now: now["output"]["count"],
        ),
        ("PUT", lambda client: SETTINGS, add_to_tools, lambda now: len(now["enabled_tools"])),
    ],
    ids=["conversation", "run", "settings"],
)
def test_writers_that_retry_lose_no_update(
    method: str,
    make: Callable[[httpx.Client], str],
    change: Callable[[Json], Json],
    count: Callable[[Json], int],
    alice: httpx.Client,
    server: Server,
) -> None:
    user_id = read(alice, SETTINGS)["user_id"]
    path = make(alice)
    with ExitStack() as stack:
        writers = clients_of(server, user_id, WRITERS, stack)

        def write(client: httpx.Client) -> int:
            return sum(add_one(client, method, path, change) for _ in range(ADDITIONS))

        failures = at_once([partial(write, client) for client in writers])

    with server.client(user_id) as reader:  # a new connection: the server ends idle ones
        assert count(read(reader, path)) == WRITERS * ADDITIONS
    assert sum(failures) > 0, "the writers never conflicted, so this test shows nothing"


def test_update_chat_settings_by_the_tag_of_the_defaults_succeeds_once(
    alice: httpx.Client, server: Server
) -> None:
    unsaved = alice.get(SETTINGS)
    headers = {"If-Match": unsaved.headers["etag"]}
    with ExitStack() as stack:
        writers = clients_of(server, unsaved.json()["user_id"], WRITERS, stack)

        def save(number: int) -> httpx.Response:
            body = {"model": f"model-{number}"}
            return writers[number].put(SETTINGS, json=body, headers=headers)

        answers = at_once([partial(save, number) for number in range(WRITERS)])

    (won,) = [answer for answer in answers if answer.status_code == 200]
    assert [answer.status_code for answer in answers].count(412) == WRITERS - 1
    assert read(alice, SETTINGS) == won.json()


def test_update_chat_settings_rejected_by_if_match_saves_nothing(alice: httpx.Client) -> None:
    before = read(alice, SETTINGS)

    assert_problem(alice.put(SETTINGS, json={"model": "m"}, headers={"If-Match": STALE}), 412)

    assert before["id"] is None
    assert read(alice, SETTINGS) == before
    saved = alice.put(SETTINGS, json={"model": "m"}, headers={"If-Match": "*"})
    assert saved.json()["model"] == "m"


def test_delete_conversation_by_tag_keeps_a_message_posted_meanwhile(
    alice: httpx.Client, server: Server
) -> None:
    user_id = read(alice, SETTINGS)["user_id"]
    with server.client(user_id) as other:
        for _ in range(attempts(3, 10)):
            conversation = create(alice, "/conversations")
            path = f"/conversations/{conversation['id']}"
            headers = {"If-Match": alice.get(path).headers["etag"]}
            message = {"role": "user", "content": "Wait!"}

            deleted, said = at_once(
                [
                    partial(alice.delete, path, headers=headers),
                    partial(other.post, f"{path}/messages", json=message),
                ]
            )

            assert (deleted.status_code, said.status_code) in {(204, 404), (412, 201)}
