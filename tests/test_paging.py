"""Pages of every list in every order: joined they are the list, whatever happens between two.

The tests run once for each Listing; its id begins with the operationId.
"""

import base64
import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls import (
    NOBODYS_ID,
    Json,
    ids,
    new_conversation,
    new_run,
    pages,
    post_message,
    read,
    read_all,
    refusals,
    rows,
)
from tests.servers import Server

ROWS = 24
SOURCES = ["agent-manager", "web", None]
AGENTS = ["document-agent", "web-agent"]
STATUSES = ["pending", "running"]


@dataclass(frozen=True)
class Listing:
    """A list in one order; `kind` is the order in which the oldest comes first."""

    operation_id: str
    kind: str
    parameters: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return " ".join([self.operation_id, *(value for _, value in self.parameters)])

    @property
    def query(self) -> dict[str, str]:
        return dict(self.parameters)

    def path(self, conversation: Json) -> str:
        own = {"list_messages": f"/conversations/{conversation['id']}/messages"}
        return own.get(self.operation_id, f"/{self.operation_id.removeprefix('list_')}")

    def turned(self, oldest_first: list[str]) -> list[str]:
        return oldest_first if self.query["order"] == "asc" else oldest_first[::-1]


LISTINGS = [
    *(
        Listing("list_conversations", by, (("order_by", by), ("order", order)))
        for by in ("created_at", "updated_at")
        for order in ("asc", "desc")
    ),
    *(
        Listing(f"list_{name}", name, (("order", order),))
        for name in ("messages", "runs")
        for order in ("asc", "desc")
    ),
]
every_listing = pytest.mark.parametrize("listing", LISTINGS, ids=str)


@dataclass(frozen=True)
class World:
    """A user with ROWS rows in every list, and their ids from the oldest to the newest."""

    client: httpx.Client
    conversation: Json
    oldest_first: dict[str, list[str]]
    conversations: list[Json]
    runs: list[Json]

    def read(self, listing: Listing, **parameters: Any) -> Json:
        path = listing.path(self.conversation)
        return read(self.client, path, **listing.query | parameters)

    def get(self, listing: Listing, **parameters: Any) -> httpx.Response:
        path = listing.path(self.conversation)
        return self.client.get(path, params=listing.query | parameters)

    def expected(self, listing: Listing) -> list[str]:
        return listing.turned(self.oldest_first[listing.kind])


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[World]:
    """Nothing changes it: tests that write have users of their own."""
    with server.client(f"world-{uuid.uuid4()}") as client:
        conversations = [
            new_conversation(
                client,
                title=f"conversation {number}",
                source=SOURCES[number % len(SOURCES)],
                agent_id=AGENTS[number % len(AGENTS)],
            )
            for number in range(ROWS)
        ]
        first, *others = conversations
        messages = [post_message(client, first, f"message {number}") for number in range(ROWS)]
        random.Random(4).shuffle(others)
        for conversation in others:
            post_message(client, conversation, "Hello")
        runs = [
            new_run(
                client,
                agent_id=AGENTS[number % 2],
                status=STATUSES[number // 2 % 2],
                conversation_id=first["id"] if number % 3 else None,
            )
            for number in range(ROWS)
        ]
        oldest_first = {
            "created_at": ids(conversations),
            "updated_at": ids([first, *others]),
            "messages": ids(messages),
            "runs": ids(runs),
        }
        yield World(client, first, oldest_first, conversations, runs)


@every_listing
@pytest.mark.parametrize(
    ("limit", "sizes"),
    [(7, [7, 7, 7, 3]), (8, [8, 8, 8]), (ROWS, [ROWS]), (ROWS + 1, [ROWS]), (ROWS - 1, [23, 1])],
)
def test_list_pages_by_cursor_join_to_the_list(
    world: World, listing: Listing, limit: int, sizes: list[int]
) -> None:
    path = listing.path(world.conversation)

    read_pages = list(pages(world.client, path, **listing.query, limit=limit))

    assert [len(rows(page)) for page in read_pages] == sizes
    assert [row_id for page in read_pages for row_id in ids(rows(page))] == world.expected(listing)
    assert {(page["total"], page["limit"], page["offset"]) for page in read_pages} == {
        (ROWS, limit, 0)
    }
    assert read_pages[-1]["next_cursor"] is None


@every_listing
@pytest.mark.parametrize("limit", [5, 8])
def test_list_pages_by_offset_join_to_the_list(world: World, listing: Listing, limit: int) -> None:
    offsets = range(0, ROWS, limit)

    read_pages = [world.read(listing, limit=limit, offset=offset) for offset in offsets]

    assert [row_id for page in read_pages for row_id in ids(rows(page))] == world.expected(listing)
    assert [page["offset"] for page in read_pages] == list(offsets)
    assert {page["total"] for page in read_pages} == {ROWS}
    assert [page["next_cursor"] is None for page in read_pages] == [
        offset + limit >= ROWS for offset in offsets
    ]


@every_listing
@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 2 * ROWS), st.sampled_from(["cursor", "offset"])), max_size=8
    )
)
def test_list_pages_of_any_size_and_kind_join_to_the_list(
    world: World, listing: Listing, steps: list[tuple[int, str]]
) -> None:
    """A cursor goes on from a page that was cut by offset, and the other way round."""
    page = world.read(listing, limit=1)
    seen = ids(rows(page))
    for limit, way in [*steps, (100, "cursor")]:
        if page["next_cursor"] is None:
            break
        place = {"cursor": page["next_cursor"]} if way == "cursor" else {"offset": len(seen)}
        page = world.read(listing, limit=limit, **place)
        seen += ids(rows(page))

    assert page["next_cursor"] is None
    assert seen == world.expected(listing)


@every_listing
@pytest.mark.parametrize("offset", [ROWS, ROWS + 1, 2**31 - 1])
def test_list_beyond_its_end_is_empty(world: World, listing: Listing, offset: int) -> None:
    page = world.read(listing, offset=offset)

    assert rows(page) == []
    assert (page["total"], page["offset"], page["next_cursor"]) == (ROWS, offset, None)


@every_listing
def test_list_takes_a_cursor_beside_an_offset_of_none(world: World, listing: Listing) -> None:
    cursor = world.read(listing, limit=5)["next_cursor"]

    page = world.read(listing, limit=5, cursor=cursor, offset=0)

    assert ids(rows(page)) == world.expected(listing)[5:10]


@every_listing
def test_list_answers_a_cursor_again(world: World, listing: Listing) -> None:
    cursor = world.read(listing, limit=5)["next_cursor"]

    assert world.read(listing, cursor=cursor) == world.read(listing, cursor=cursor)


@pytest.mark.parametrize("listing", [each for each in LISTINGS if each.kind != "messages"], ids=str)
def test_list_goes_on_from_a_cursor_of_version_1_0(world: World, listing: Listing) -> None:
    """It has no total in it: that is counted then."""
    page = world.read(listing, limit=5)
    order, (moment, row_id, _) = json.loads(base64.urlsafe_b64decode(page["next_cursor"] + "=="))
    old = encoded(json.dumps([order, [moment, row_id]]).encode())

    following = world.read(listing, limit=5, cursor=old)

    assert following == world.read(listing, limit=5, cursor=page["next_cursor"])
    assert following["total"] == ROWS


@every_listing
def test_list_pages_repeat_and_skip_nothing_while_rows_are_added(
    alice: httpx.Client, conversation: Json, listing: Listing
) -> None:
    def add(number: int) -> str:
        if listing.operation_id == "list_messages":
            row = post_message(alice, conversation, str(number))
        elif listing.operation_id == "list_runs":
            row = new_run(alice)
        else:
            row = new_conversation(alice)
        row_id: str = row["id"]
        return row_id

    numbers = count()
    added = [conversation["id"]] if listing.operation_id == "list_conversations" else []
    added += [add(next(numbers)) for _ in range(10)]
    before = list(added)
    seen = []

    for page in pages(alice, listing.path(conversation), **listing.query, limit=3):
        seen += ids(rows(page))
        # Messages are counted as they come; what takes counting is counted once.
        counted = added if listing.operation_id == "list_messages" else before
        assert page["total"] == len(counted)
        added.append(add(next(numbers)))

    if listing.query["order"] == "desc":
        assert seen == before[::-1]
    else:
        assert seen == added[:-1]


@pytest.mark.parametrize("order_by", ["created_at", "updated_at"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_list_conversations_goes_on_behind_a_row_that_was_deleted(
    alice: httpx.Client, order_by: str, order: str
) -> None:
    made = ids([new_conversation(alice) for _ in range(7)])
    expected = made if order == "asc" else made[::-1]
    query = {"order_by": order_by, "order": order, "limit": 3}
    page = read(alice, "/conversations", **query)

    for gone in (expected[0], expected[2], expected[3]):
        alice.delete(f"/conversations/{gone}")
    following = read(alice, "/conversations", **query, cursor=page["next_cursor"])

    assert ids(rows(following)) == expected[4:]
    assert following["total"] == page["total"] == 7  # as the first page counted


def test_list_conversations_by_activity_shows_a_moved_one_again_at_most(
    alice: httpx.Client,
) -> None:
    """A row that moves while one reads may come twice; those that stay come once."""
    made = [new_conversation(alice) for _ in range(9)]
    seen = []

    for page in pages(alice, "/conversations", order_by="updated_at", order="asc", limit=3):
        seen += ids(rows(page))
        if len(seen) == 3:
            post_message(alice, made[0], "Hello")

    assert seen == ids([*made, made[0]])


OTHER_LISTINGS = [
    pytest.param(made, used, id=f"{made} - {used}")
    for made in LISTINGS
    for used in LISTINGS
    if made != used
]


@pytest.mark.parametrize(("made", "used"), OTHER_LISTINGS)
def test_list_refuses_the_cursor_of_another_list_or_order(
    world: World, made: Listing, used: Listing
) -> None:
    cursor = world.read(made, limit=5)["next_cursor"]

    response = world.get(used, cursor=cursor)

    assert refusals(response) == {("query", "/cursor")}


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_list_messages_refuses_the_cursor_of_another_conversation(world: World, order: str) -> None:
    listing = Listing("list_messages", "messages", (("order", order),))
    cursor = world.read(listing, limit=5)["next_cursor"]

    path = listing.path(world.conversations[1])
    response = world.client.get(path, params={"order": order, "cursor": cursor})

    assert refusals(response) == {("query", "/cursor")}


@every_listing
def test_list_refuses_a_cursor_beside_an_offset(world: World, listing: Listing) -> None:
    cursor = world.read(listing, limit=5)["next_cursor"]

    response = world.get(listing, cursor=cursor, offset=1)

    assert refusals(response) == {("query", "/cursor")}


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


A_TIME = "2026-03-02T09:14:03.412907Z"
GARBAGE = {
    "empty": "",
    "one letter": "A",
    "a word": "garbage",
    "outside the alphabet": "!!!",
    "padded": "WyJhc2MiLFsyXV0=",
    "too long": "A" * 513,
    "as long as may be": "A" * 512,
    "no UTF-8": encoded(b"\xff\xfe\xfd"),
    "no JSON": encoded(b'["asc",['),
    "a number": encoded(b"5"),
    "null": encoded(b"null"),
    "an object": encoded(b'{"order": "asc"}'),
    "an empty list": encoded(b"[]"),
    "three things": encoded(b'["asc",[2],3]'),
    "very deep": encoded(b"[" * 350),
}
FORGED_KEYS: list[Any] = [
    None,
    [],
    {},
    "2",
    2,
    [None],
    ["2"],
    [[2]],
    [True],
    [-1],
    [1.5],
    [2**63],
    [2**64],
    [1e300],
    [1, 2, 3],
    [A_TIME],
    [A_TIME, None, 4],
    [A_TIME, "x", 4],
    [A_TIME, NOBODYS_ID.replace("-", ""), 4],
    [A_TIME, NOBODYS_ID + "\n", 4],
    [A_TIME + "\n", NOBODYS_ID, 4],
    [A_TIME, NOBODYS_ID, 4, 4],
    [A_TIME, NOBODYS_ID, None],
    [A_TIME, NOBODYS_ID, "4"],
    [A_TIME, NOBODYS_ID, True],
    [A_TIME, NOBODYS_ID, 4.0],
    [A_TIME, NOBODYS_ID, -1],
    [A_TIME, NOBODYS_ID, 2**53],
    ["", NOBODYS_ID, 4],
    ["now", NOBODYS_ID, 4],
    ["infinity", NOBODYS_ID, 4],
    ["2026-03-02", NOBODYS_ID, 4],
    ["2026-02-30T09:14:03.412907Z", NOBODYS_ID, 4],
    ["2026-13-01T09:14:03.412907Z", NOBODYS_ID, 4],
    ["2026-03-02T25:14:03.412907Z", NOBODYS_ID, 4],
    ["2026-03-02T09:61:03.412907Z", NOBODYS_ID, 4],
    ["0000-03-02T09:14:03.412907Z", NOBODYS_ID, 4],
    ["٢٠٢٦-03-02T09:14:03.412907Z", NOBODYS_ID, 4],
]


@every_listing
@pytest.mark.parametrize("cursor", GARBAGE.values(), ids=GARBAGE)
def test_list_refuses_garbage_for_a_cursor(world: World, listing: Listing, cursor: str) -> None:
    assert refusals(world.get(listing, cursor=cursor)) == {("query", "/cursor")}


@every_listing
def test_list_refuses_a_forged_cursor(world: World, listing: Listing) -> None:
    """Somebody looked into a cursor and wrote another place into it."""
    cursor = world.read(listing, limit=5)["next_cursor"]
    order, key = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    assert ids(rows(world.read(listing, cursor=encoded(json.dumps([order, key]).encode()))))

    answers = {
        str(forged): world.get(listing, cursor=encoded(json.dumps([order, forged]).encode()))
        for forged in FORGED_KEYS
    }

    statuses = {forged: answer.status_code for forged, answer in answers.items()}
    assert statuses == dict.fromkeys(map(str, FORGED_KEYS), 422)
    assert all(refusals(answer) == {("query", "/cursor")} for answer in answers.values())


@every_listing
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "501"),
        ("limit", "ten"),
        ("limit", ""),
        ("offset", "-1"),
        ("offset", "2147483648"),
        ("offset", "1.5"),
        ("order", "up"),
        ("order", "ASC"),
    ],
)
def test_list_refuses_a_wrong_parameter(
    world: World, listing: Listing, name: str, value: str
) -> None:
    assert refusals(world.get(listing, **{name: value})) == {("query", f"/{name}")}


@every_listing
def test_list_knows_its_greatest_limit(world: World, listing: Listing) -> None:
    greatest = 500 if listing.operation_id == "list_messages" else 100

    assert world.read(listing, limit=greatest)["limit"] == greatest
    assert refusals(world.get(listing, limit=greatest + 1)) == {("query", "/limit")}


def test_list_conversations_refuses_another_order(world: World) -> None:
    response = world.client.get("/conversations", params={"order_by": "title"})

    assert refusals(response) == {("query", "/order_by")}


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/conversations", "created_at"), ("/runs", "runs")],
    ids=["list_conversations", "list_runs"],
)
def test_list_says_its_defaults(world: World, path: str, kind: str) -> None:
    page = read(world.client, path)

    assert ids(rows(page)) == world.oldest_first[kind][::-1]
    assert (page["limit"], page["offset"], page["total"]) == (50, 0, ROWS)


@pytest.mark.parametrize("order_by", ["created_at", "updated_at"])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    "filters",
    [
        {"source": "web"},
        {"agent_id": "web-agent"},
        {"source": "agent-manager", "agent_id": "document-agent"},
        {"source": "web", "agent_id": "nobody"},
        {"source": "WEB"},
        {"source": "we"},
        {"agent_id": "%"},
    ],
    ids=lambda filters: " ".join(filters.values()),
)
def test_list_conversations_narrows_to_exact_matches(
    world: World, order_by: str, order: str, filters: dict[str, str]
) -> None:
    listing = Listing("list_conversations", order_by, (("order_by", order_by), ("order", order)))
    matching = {
        conversation["id"]
        for conversation in world.conversations
        if all(conversation[name] == value for name, value in filters.items())
    }
    expected = [row_id for row_id in world.expected(listing) if row_id in matching]

    read_pages = list(pages(world.client, "/conversations", **listing.query, **filters, limit=3))

    assert [row_id for page in read_pages for row_id in ids(rows(page))] == expected
    assert {page["total"] for page in read_pages} == {len(expected)}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("agent_id", [None, "web-agent", "nobody"])
@pytest.mark.parametrize("status", [None, "running", "cancelled"])
@pytest.mark.parametrize("of_conversation", [False, True])
def test_list_runs_narrows_to_exact_matches(
    world: World, order: str, agent_id: str | None, status: str | None, of_conversation: bool
) -> None:
    given_filters = {
        "agent_id": agent_id,
        "status": status,
        "conversation_id": world.conversation["id"] if of_conversation else None,
    }
    filters = {name: value for name, value in given_filters.items() if value is not None}
    matching = [
        run["id"]
        for run in world.runs
        if all(run[name] == value for name, value in filters.items())
    ]

    read_pages = list(pages(world.client, "/runs", order=order, **filters, limit=3))

    expected = matching if order == "asc" else matching[::-1]
    assert [row_id for page in read_pages for row_id in ids(rows(page))] == expected
    assert {page["total"] for page in read_pages} == {len(expected)}


def test_list_runs_follows_a_status_that_moves(alice: httpx.Client) -> None:
    run = new_run(alice)
    alice.patch(f"/runs/{run['id']}", json={"status": "failed"})

    assert read(alice, "/runs", status="pending")["total"] == 0
    assert ids(read_all(alice, "/runs", status="failed")) == [run["id"]]


def test_list_runs_of_a_conversation_that_is_not_the_users_is_empty(
    world: World, new_client: Callable[..., httpx.Client]
) -> None:
    stranger = new_client()

    for conversation_id in (world.conversation["id"], NOBODYS_ID):
        page = read(stranger, "/runs", conversation_id=conversation_id)
        assert (page["runs"], page["total"]) == ([], 0)


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/conversations", "source", ""),
        ("/conversations", "source", "x" * 51),
        ("/conversations", "agent_id", ""),
        ("/runs", "agent_id", "x" * 256),
        ("/runs", "status", "done"),
        ("/runs", "conversation_id", "mine"),
    ],
    ids=lambda value: value[:20],
)
def test_list_refuses_a_wrong_filter(world: World, path: str, name: str, value: str) -> None:
    response = world.client.get(path, params={name: value})

    assert refusals(response) == {("query", f"/{name}")}
