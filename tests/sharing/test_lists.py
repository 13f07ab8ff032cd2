"""The list of conversations of a user who is also a member of other users' conversations."""

import random
import uuid
from itertools import product
from typing import Any

import httpx
import pytest

from tests.calls import (
    Json,
    change,
    get_conversation,
    ids,
    new_conversation,
    pages,
    post_message,
    read,
    read_all,
    rows,
)
from tests.sharing.members import NewClient, share, unshare, user_of

ORDERS = list(product(("created_at", "updated_at"), ("asc", "desc")))
every_order = pytest.mark.parametrize(("order_by", "order"), ORDERS)
SOURCES, AGENTS = ["web", "mobile", None], ["analyst", "writer"]


class Crowd:
    """A reader with own conversations, and with some of three owners."""

    def __init__(self, new_client: NewClient) -> None:
        self.reader = new_client(f"reader-{uuid.uuid4()}")
        self.owners = [new_client(f"owner-{n}-{uuid.uuid4()}") for n in range(3)]
        self.own: list[Json] = []
        self.shared: list[tuple[httpx.Client, Json]] = []
        for number in range(16):
            form = {"source": SOURCES[number % 3], "agent_id": AGENTS[number % 2]}
            if number % 4 == 0:
                self.own.append(new_conversation(self.reader, **form))
                continue
            owner = self.owners[number % 3]
            conversation = new_conversation(owner, **form)
            share(owner, conversation["id"], self.reader, "editor")
            self.shared.append((owner, conversation))
        written = [(self.reader, each) for each in self.own] + self.shared
        random.Random(7).shuffle(written)
        for client, conversation in written[::2]:
            post_message(client, conversation, "Hello")

    def expected(self, order_by: str, order: str, **filters: Any) -> list[Json]:
        """Return what the reader's own GETs return, in the order of the list."""
        found = [
            get_conversation(self.reader, each)
            for each in [*self.own, *(each for _, each in self.shared)]
        ]
        chosen = [
            each for each in found if all(each[name] == value for name, value in filters.items())
        ]
        return sorted(chosen, key=lambda c: (c[order_by], c["id"]), reverse=order == "desc")


@pytest.fixture
def crowd(new_client: NewClient) -> Crowd:
    return Crowd(new_client)


@every_order
def test_list_conversations_has_own_and_shared_ones_in_order(
    crowd: Crowd, order_by: str, order: str
) -> None:
    expected = crowd.expected(order_by, order)
    found = list(pages(crowd.reader, "/conversations", order_by=order_by, order=order, limit=3))

    assert [each for page in found for each in rows(page)] == expected
    assert {page["total"] for page in found} == {16}
    assert [len(rows(page)) for page in found] == [3] * 5 + [1]


@every_order
def test_list_conversations_skips_an_offset_over_both_kinds(
    crowd: Crowd, order_by: str, order: str
) -> None:
    expected = crowd.expected(order_by, order)
    how = {"order_by": order_by, "order": order, "limit": 4}

    for offset in (0, 3, 14, 16, 99):
        page = read(crowd.reader, "/conversations", **how, offset=offset)
        assert rows(page) == expected[offset : offset + 4]
        assert (page["total"], page["offset"]) == (16, offset)


@every_order
def test_list_conversations_filters_shared_ones(crowd: Crowd, order_by: str, order: str) -> None:
    for filters in (
        {"source": "web"},
        {"agent_id": "writer"},
        {"source": "web", "agent_id": "writer"},
        {"source": "nothing"},
    ):
        how = {"order_by": order_by, "order": order, **filters}
        expected = crowd.expected(order_by, order, **filters)
        assert read_all(crowd.reader, "/conversations", **how, limit=2) == expected
        page = read(crowd.reader, "/conversations", **how)
        assert page["total"] == len(expected)


@every_order
def test_list_conversations_selects_own_or_shared_ones(
    crowd: Crowd, order_by: str, order: str
) -> None:
    expected = crowd.expected(order_by, order)
    me = user_of(crowd.reader)
    how = {"order_by": order_by, "order": order}

    for shared, total in ((True, 12), (False, 4)):
        chosen = [each for each in expected if (each["user_id"] != me) == shared]
        query = how | {"shared": shared}
        found = list(pages(crowd.reader, "/conversations", **query, limit=3))
        assert [each for page in found for each in rows(page)] == chosen
        assert {page["total"] for page in found} == {total}
        source = [each for each in chosen if each["source"] == "web"]
        assert read_all(crowd.reader, "/conversations", **query, source="web") == source


def test_list_conversations_of_owners_without_shares_has_only_their_own(crowd: Crowd) -> None:
    for owner in crowd.owners:
        mine = [each["id"] for client, each in crowd.shared if client is owner]
        page = read(owner, "/conversations", order="asc")
        assert ids(rows(page)) == mine
        assert {(each["role"], each["shared_by"]) for each in rows(page)} == {("owner", None)}
        assert page["total"] == len(mine)
        assert rows(read(owner, "/conversations", shared=True)) == []


def test_list_conversations_shows_role_and_owner(alice: httpx.Client, bob: httpx.Client) -> None:
    viewed, edited = new_conversation(alice), new_conversation(alice)
    share(alice, viewed["id"], bob)
    share(alice, edited["id"], bob, "editor")
    own = new_conversation(bob)

    found = rows(read(bob, "/conversations", order="asc"))

    assert [(each["id"], each["role"], each["shared_by"]) for each in found] == [
        (viewed["id"], "viewer", user_of(alice)),
        (edited["id"], "editor", user_of(alice)),
        (own["id"], "owner", None),
    ]


def test_list_conversations_follows_changes_of_shared_ones(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    first, second = new_conversation(alice, agent_id="a"), new_conversation(alice)
    for each in (first, second):
        share(alice, each["id"], bob)

    post_message(alice, first, "Hello")
    change(alice, f"/conversations/{first['id']}", title="Renamed", agent_id="b")

    found = rows(read(bob, "/conversations", order_by="updated_at"))
    assert found == [get_conversation(bob, first), get_conversation(bob, second)]
    assert found[0]["title"] == "Renamed"
    assert ids(rows(read(bob, "/conversations", agent_id="b"))) == [first["id"]]
    assert rows(read(bob, "/conversations", agent_id="a")) == []


def test_list_conversations_has_no_former_or_deleted_shared_ones(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    kept, left, deleted = (new_conversation(alice) for _ in range(3))
    for each in (kept, left, deleted):
        share(alice, each["id"], bob)

    assert unshare(alice, left["id"], bob).status_code == 204
    assert alice.delete(f"/conversations/{deleted['id']}").status_code == 204

    page = read(bob, "/conversations")
    assert (ids(rows(page)), page["total"]) == ([kept["id"]], 1)
    assert unshare(alice, kept["id"], bob).status_code == 204
    page = read(bob, "/conversations")
    assert (rows(page), page["total"]) == ([], 0)


def test_list_conversations_continues_after_a_first_share(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    early = new_conversation(alice)
    own = [new_conversation(bob) for _ in range(4)]
    first = read(bob, "/conversations", limit=2)

    share(alice, early["id"], bob)
    second = read(bob, "/conversations", limit=2, cursor=first["next_cursor"])
    third = read(bob, "/conversations", limit=2, cursor=second["next_cursor"])

    assert ids(rows(first)) == [own[3]["id"], own[2]["id"]]
    assert ids(rows(second)) == [own[1]["id"], own[0]["id"]]
    assert ids(rows(third)) == [early["id"]]
    assert {page["total"] for page in (first, second, third)} == {4}


@pytest.mark.parametrize("shared", [None, True])
def test_list_conversations_ends_a_page_of_large_shared_ones_early(
    alice: httpx.Client, bob: httpx.Client, shared: bool | None
) -> None:
    large = {"text": "x" * 1_000_000}
    made = [new_conversation(alice, metadata=large) for _ in range(20)]
    for each in made:
        share(alice, each["id"], bob)
    query = {} if shared is None else {"shared": shared}

    found = list(pages(bob, "/conversations", order="asc", **query))

    assert [each["id"] for page in found for each in rows(page)] == ids(made)
    assert [len(rows(page)) for page in found] == [17, 3]
    assert rows(found[0])[0]["metadata"] == large
