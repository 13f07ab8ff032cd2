"""Access that ends while a request is going on, and requests that race with the end of a share."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest

from tests.calls import Json, at_once, messages_of, new_conversation, read
from tests.concurrency.races import race
from tests.contract import assert_problem
from tests.live.following import append, end, following, running, texts, word
from tests.sharing.members import NewClient, share, shares_of, unshare, user_of

HELLO = {"role": "user", "content": "Hello"}


def test_stream_run_events_ends_for_a_former_member(
    alice: httpx.Client, bob: httpx.Client, new_client: NewClient, conversation: Json
) -> None:
    carol = new_client()
    for member in (bob, carol):
        share(alice, conversation["id"], member)
    run = running(alice, conversation_id=conversation["id"], input={"secret": 1})
    with following(bob, run) as his, following(carol, run) as hers:
        append(alice, run, word("a"))
        seen = [next(his), next(his)]
        unshare(alice, conversation["id"], bob)
        append(alice, run, word("b"))
        rest = list(his)
        end(alice, run)
        all_of_hers = list(hers)

    assert texts(seen) == ["a"]
    assert seen[0].data["input"] is None
    assert rest == []
    assert texts(all_of_hers) == ["a", "b"]
    assert [event.event for event in all_of_hers] == [
        *("run.started", "text.delta", "text.delta", "run.ended")
    ]
    assert all_of_hers[-1].data["input"] is None
    assert_problem(bob.get(f"/runs/{run['id']}/events/stream"), 403)


def test_stream_run_events_shows_the_input_only_to_the_owner(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    """All streams of a run share its reads, but members and the owner do not."""
    share(alice, conversation["id"], bob)
    run = running(alice, conversation_id=conversation["id"], input={"secret": 1})
    with (
        following(bob, run) as his,
        following(alice, run) as hers,
        following(bob, run, format="message") as his_messages,
    ):
        end(alice, run)
        of_owner, of_member, of_messages = list(hers), list(his), list(his_messages)

    assert [event.data["input"] for event in of_owner] == [{"secret": 1}] * 2
    assert [event.data["input"] for event in of_member] == [None] * 2
    assert [event.data["data"]["input"] for event in of_messages] == [None] * 2


def test_create_message_by_a_member_who_was_removed_during_the_upload(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob, "editor")
    removed = threading.Event()

    def body() -> Iterator[bytes]:
        yield b'{"role": "user", "content": "Hel'
        assert unshare(alice, conversation["id"], bob).status_code == 204
        removed.set()
        yield b'lo"}'

    response = bob.post(
        messages_of(conversation), content=body(), headers={"Content-Type": "application/json"}
    )

    assert removed.is_set()
    assert_problem(response, 403)
    assert read(alice, messages_of(conversation))["total"] == 0


@race(usual=1, thorough=5)
def test_unshare_conversation_while_the_member_posts(
    alice: httpx.Client, new_client: NewClient, conversation: Json, attempt: int
) -> None:
    """No message is stored after the response to the removal."""
    member = f"member {attempt} of {conversation['id']}"
    share(alice, conversation["id"], member, "editor")
    removed = threading.Event()

    def post(client: httpx.Client) -> list[int]:
        answers = []
        while not removed.is_set():
            answers.append(client.post(messages_of(conversation), json=HELLO).status_code)
        return [*answers, client.post(messages_of(conversation), json=HELLO).status_code]

    def remove() -> list[int]:
        time.sleep(0.2)
        assert unshare(alice, conversation["id"], member).status_code == 204
        removed.set()
        return [read(alice, messages_of(conversation))["total"]]

    acts: list[Callable[[], list[int]]] = [partial(post, new_client(member)) for _ in range(4)]
    *posted, (count_at_removal,) = at_once([*acts, remove])

    statuses = [status for answers in posted for status in answers]
    assert set(statuses) <= {201, 403}
    assert {answers[-1] for answers in posted} == {403}
    stored = read(alice, messages_of(conversation))["total"]
    assert stored == count_at_removal == statuses.count(201)


@race(usual=1, thorough=5)
def test_share_and_unshare_conversation_at_once(
    alice: httpx.Client, new_client: NewClient, attempt: int
) -> None:
    """The count of members stays right, and both rows of each share agree."""
    conversation = new_conversation(alice)
    path, owner = shares_of(conversation["id"]), user_of(alice)
    members = [f"{number} of {conversation['id']}" for number in range(4)]
    clients = [new_client(owner) for _ in range(8)]

    def work(number: int) -> set[int]:
        member, client = members[number % 4], clients[number]
        answers = set()
        for step in range(8):
            role = "editor" if step % 2 else "viewer"
            if number < 6:
                body = {"user_id": member, "role": role}
                answers.add(client.post(path, json=body).status_code)
            if number >= 4:
                answers.add(unshare(client, conversation["id"], member).status_code)
        return answers

    answers = at_once([partial(work, number) for number in range(8)])

    assert set().union(*answers) <= {201, 204, 404}
    left = {each["user_id"]: each["role"] for each in read(alice, path)["shares"]}
    for member in members:
        found = new_client(member).get(f"/conversations/{conversation['id']}")
        assert (found.json()["role"] if found.is_success else None) == left.get(member)
    for number in range(100 - len(left)):
        share(alice, conversation["id"], f"another {number}")
    another = {"user_id": "one too many", "role": "viewer"}
    assert alice.post(path, json=another).status_code == 409


@race(usual=1, thorough=5)
def test_delete_conversation_while_it_is_shared(
    alice: httpx.Client, new_client: NewClient, attempt: int
) -> None:
    conversation = new_conversation(alice)
    path, owner = f"/conversations/{conversation['id']}", user_of(alice)
    member = f"member of {conversation['id']}"
    share(alice, conversation["id"], member, "editor")
    gone = threading.Event()

    def until_gone(client: httpx.Client, method: str, url: str, body: Json | None) -> set[int]:
        answers = {client.request(method, url, json=body).status_code}
        while not gone.is_set():
            answers.add(client.request(method, url, json=body).status_code)
        return answers | {client.request(method, url, json=body).status_code}

    def delete() -> set[int]:
        time.sleep(0.2)
        try:
            return {new_client(owner).delete(path).status_code}
        finally:
            gone.set()

    new = {"user_id": "another", "role": "viewer"}
    acts: list[Callable[[], set[int]]] = [
        partial(until_gone, new_client(owner), "POST", f"{path}/shares", new),
        partial(until_gone, new_client(member), "POST", f"{path}/messages", HELLO),
        partial(until_gone, new_client(member), "GET", path, None),
        partial(until_gone, new_client(owner), "DELETE", f"{path}/shares/another", None),
    ]
    sharing, posting, reading, unsharing, deleting = at_once([*acts, delete])

    assert deleting == {204}
    assert sharing <= {201, 404}
    assert posting <= {201, 403, 404}
    assert reading <= {200, 403, 404}
    assert unsharing <= {204, 404}


@pytest.mark.slow
def test_stream_run_events_counts_for_the_member_not_for_the_owner(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    run = running(alice, conversation_id=conversation["id"])
    path = f"/runs/{run['id']}/events/stream"
    limits = httpx.Limits(max_connections=110)
    with httpx.Client(base_url=bob.base_url, headers=bob.headers, limits=limits) as many:
        opened = [many.send(many.build_request("GET", path), stream=True) for _ in range(101)]
        with following(alice, run) as hers:
            assert next(hers).event == "run.started"
        for response in opened:
            response.close()

    assert [response.status_code for response in opened] == [200] * 100 + [429]
