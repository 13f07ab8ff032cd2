"""Members' logs of changes while owners and editors write, share and stop sharing."""

import random
import threading
import uuid
from collections.abc import Callable
from functools import partial

import httpx

from tests.calls import (
    Json,
    at_once,
    change,
    ids,
    messages_of,
    new_conversation,
    new_run,
    post_message,
    read,
)
from tests.concurrency.races import race
from tests.mirror import Mirror, changes_after, position, state
from tests.sharing.members import NewClient, share, user_of

OWNERS = 2
MEMBERS = 3
WRITES = 30


def write_as_owner(client: httpx.Client, members: list[str], seed: str) -> None:
    """Write to the user's conversations, share them and stop sharing them."""
    choice = random.Random(seed)  # repeatable, not secret
    for number in range(WRITES):
        own = read(client, "/conversations", limit=4, shared=False)["conversations"]
        some = choice.choice(own) if own else new_conversation(client)
        path, member = f"/conversations/{some['id']}", choice.choice(members)
        match choice.randrange(15):
            case 0:
                new_conversation(client, title=f"{seed} {number}")
            case 1:
                client.delete(path)
            case 2:
                client.patch(path, json={"title": f"{seed} {number}", "agent_id": seed})
            case 3 | 4 | 5:
                role = choice.choice(["editor", "viewer"])
                client.post(f"{path}/shares", json={"user_id": member, "role": role})
            case 6:
                client.delete(f"{path}/shares/{member}")
            case 7:
                run = {"agent_id": "a", "conversation_id": some["id"]}
                client.post("/runs", json=run)
            case 8 | 9 | 10:
                change_branches(client, some, choice)
            case _:
                body = {"role": "user", "content": f"{seed} {number}"}
                client.post(messages_of(some), json=body)


def change_branches(client: httpx.Client, conversation: Json, choice: random.Random) -> None:
    """Start a branch, switch to one, or delete a message. Others may have deleted it before."""
    path = messages_of(conversation)
    found = client.get(path, params={"branches": "all"})
    if found.status_code != 200 or not found.json()["messages"]:
        return
    some = choice.choice(found.json()["messages"])["id"]
    match choice.randrange(4):
        case 0:
            client.delete(f"/messages/{some}")
        case 1:
            body = {"message_id": some}
            client.put(f"/conversations/{conversation['id']}/active-message", json=body)
        case _:
            body = {"role": "assistant", "content": "Another", "sibling_of": some}
            client.post(path, json=body)


def write_as_member(client: httpx.Client, seed: str) -> None:
    """Post to shared and to own conversations, and leave some."""
    choice = random.Random(seed)  # repeatable, not secret
    me = user_of(client)
    for number in range(WRITES):
        listed = read(client, "/conversations", limit=5)["conversations"]
        some = choice.choice(listed) if listed else new_conversation(client)
        if choice.randrange(10) == 0 and some["role"] != "owner":
            client.delete(f"/conversations/{some['id']}/shares/{me}")
        elif choice.randrange(4) == 0:
            found = client.get(messages_of(some), params={"limit": 5, "order": "desc"})
            for message in found.json().get("messages", ()):
                client.patch(f"/messages/{message['id']}", json={"content": f"{seed} {number}"})
        elif choice.randrange(3) == 0:
            change_branches(client, some, choice)
        else:
            body = {"role": "user", "content": f"{seed} {number}"}
            client.post(messages_of(some), json=body)


@race(usual=1, thorough=5)
def test_members_mirrors_end_with_the_servers_state(new_client: NewClient, attempt: int) -> None:
    owners = [f"owner-{n}-{uuid.uuid4()}" for n in range(OWNERS)]
    members = [f"member-{n}-{uuid.uuid4()}" for n in range(MEMBERS)]
    have_ended = threading.Event()
    kept: list[tuple[str, Mirror]] = []

    def write_all() -> None:
        writers = [
            partial(write_as_owner, new_client(user), members, f"{attempt} {user} {n}")
            for user in owners
            for n in range(2)
        ]
        writers += [
            partial(write_as_member, new_client(user), f"{attempt} {user}") for user in members
        ]
        try:
            at_once(writers)
            owner = new_client(owners[0])
            last = new_conversation(owner)  # everything else may have been deleted or left
            share(owner, last["id"], members[0])
        finally:
            have_ended.set()

    def mirror(user: str, limit: int) -> None:
        have_ended.wait(0.1 * limit)  # they begin at different times
        copy = Mirror(new_client(user))
        while not have_ended.is_set():
            copy.follow(limit)
        copy.follow(limit)
        kept.append((user, copy))

    mirrors: list[Callable[[], None]] = [
        partial(mirror, user, 1 + 5 * n) for n, user in enumerate([*members, *owners])
    ]
    at_once([write_all, *mirrors])

    assert len(kept) == MEMBERS + OWNERS
    for user, each in kept:
        client = new_client(user)
        assert each.position == position(client)
        assert each.documents == state(client), user
    assert any(
        document["role"] != "owner"
        for _, each in kept
        for path, document in each.documents.items()
        if path.startswith("/conversations/")
    )


@race(usual=3, thorough=20)
def test_share_conversation_while_messages_are_posted_misses_none(
    new_client: NewClient, attempt: int
) -> None:
    owner = f"owner-{uuid.uuid4()}"
    clients = [new_client(owner) for _ in range(5)]
    member = new_client(f"member-{uuid.uuid4()}")
    conversation = new_conversation(clients[0])
    has_begun = threading.Event()

    def post(client: httpx.Client) -> None:
        for number in range(15):
            post_message(client, conversation, f"Message {number}")
            has_begun.set()

    def share_once() -> None:
        has_begun.wait(30)
        share(clients[4], conversation["id"], member)

    acts: list[Callable[[], None]] = [partial(post, client) for client in clients[:4]]
    at_once([*acts, share_once])

    stored = ids(read(clients[0], messages_of(conversation), limit=500)["messages"])
    created, *told = list(changes_after(member, 0))
    told_of = ids(told)
    assert (created["type"], created["id"]) == ("conversation.created", conversation["id"])
    assert {each["type"] for each in told} <= {"message.created"}
    # Nothing is missing between the first message that was told and the last one.
    assert told_of == stored[len(stored) - len(told_of) :]
    listed = read(member, "/conversations", order_by="updated_at")["conversations"]
    assert listed[0]["message_count"] == len(stored) == 60


@race(usual=3, thorough=20)
def test_share_conversation_while_runs_are_created_misses_none(
    new_client: NewClient, attempt: int
) -> None:
    owner = f"owner-{uuid.uuid4()}"
    clients = [new_client(owner) for _ in range(5)]
    member = new_client(f"member-{uuid.uuid4()}")
    conversation = new_conversation(clients[0])
    has_begun = threading.Event()
    made: list[Json] = []
    shared: list[Json] = []

    def run(client: httpx.Client) -> None:
        for _ in range(10):
            made.append(new_run(client, conversation_id=conversation["id"], status="running"))
            change(client, f"/runs/{made[-1]['id']}", output={"a": 1})
            has_begun.set()

    def share_once() -> None:
        has_begun.wait(30)
        shared.append(share(clients[4], conversation["id"], member, "viewer"))

    acts: list[Callable[[], None]] = [partial(run, client) for client in clients[:4]]
    at_once([*acts, share_once])

    told = list(changes_after(member, 0))
    created = {each["id"] for each in told if each["type"] == "run.created"}
    later = {each["id"] for each in made if each["created_at"] > shared[0]["shared_at"]}
    assert told[0]["type"] == "conversation.created"
    assert later <= created <= set(ids(made))
    updated = {each["id"] for each in told if each["type"] == "run.updated"}
    assert created <= updated


@race(usual=2, thorough=10)
def test_all_members_are_told_in_the_order_of_the_messages(
    new_client: NewClient, attempt: int
) -> None:
    """The conversations have the same members, shared in different orders."""
    owners = [new_client(f"owner-{n}-{uuid.uuid4()}") for n in range(2)]
    members = [f"member-{n}-{uuid.uuid4()}" for n in range(8)]
    conversations = [new_conversation(owner) for owner in owners]
    for member in members:
        share(owners[0], conversations[0]["id"], member)
    for member in reversed(members):
        share(owners[1], conversations[1]["id"], member, "editor")
    writers = [*owners, *owners, new_client(members[0]), new_client(members[7])]
    before = {member: position(new_client(member)) for member in members}

    def post(number: int, client: httpx.Client) -> None:
        for _ in range(10):
            post_message(client, conversations[number], "Hello")  # 201: no deadlock

    at_once(
        [partial(post, n, client) for n, client in zip((0, 1, 0, 1, 1, 1), writers, strict=True)]
    )

    for owner, conversation in zip(owners, conversations, strict=True):
        stored = ids(read(owner, messages_of(conversation), limit=500)["messages"])
        for member in members:
            told = changes_after(new_client(member), before[member])
            assert stored == [
                each["id"] for each in told if each["conversation_id"] == conversation["id"]
            ]


@race(usual=2, thorough=10)
def test_list_conversations_moves_shared_ones_with_their_messages(
    new_client: NewClient, attempt: int
) -> None:
    owners = [new_client(f"owner-{n}-{uuid.uuid4()}") for n in range(4)]
    member = new_client(f"member-{uuid.uuid4()}")
    shared = [new_conversation(owner) for owner in owners]
    for owner, conversation in zip(owners, shared, strict=True):
        share(owner, conversation["id"], member, "editor")

    def post(client: httpx.Client, conversation: Json) -> None:
        for number in range(10):
            post_message(client, conversation, f"Message {number}")

    at_once([partial(post, *pair) for pair in zip(owners, shared, strict=True)])

    listed = read(member, "/conversations", order_by="updated_at")["conversations"]
    times = [each["updated_at"] for each in listed]
    assert times == sorted(times, reverse=True)
    assert sorted(ids(listed)) == sorted(ids(shared))
    assert {each["message_count"] for each in listed} == {10}
