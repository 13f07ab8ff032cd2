"""Tests that only cursors of the same list and order are accepted."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    ids,
    new_attachment,
    new_conversation,
    new_run,
    read,
    refusals,
    rows,
)
from tests.paging.listings import (
    LISTINGS,
    Listing,
    World,
    encoded,
    every_listing,
    refused,
)

CURSOR = {("query", "/cursor")}


@every_listing
def test_list_refuses_the_cursor_of_another_list_or_order(world: World, listing: Listing) -> None:
    others = {str(other): other for other in LISTINGS if other != listing}
    cursor = world.read(listing, limit=5)["next_cursor"]

    answers = {name: refused(world.get(other, cursor=cursor)) for name, other in others.items()}

    assert answers == dict.fromkeys(others, CURSOR)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_list_messages_refuses_the_cursor_of_another_conversation(world: World, order: str) -> None:
    listing = Listing("list_messages", "messages", (("order", order),))
    cursor = world.read(listing, limit=5)["next_cursor"]

    path = listing.path(world.conversations[1])
    response = world.client.get(path, params={"order": order, "cursor": cursor})

    assert refusals(response) == CURSOR


@every_listing
def test_list_refuses_the_cursor_of_another_user(
    world: World, bob: httpx.Client, listing: Listing
) -> None:
    cursor = world.read(listing, limit=5)["next_cursor"]

    response = bob.get(listing.path(world.conversation), params=listing.query | {"cursor": cursor})

    assert refusals(response) == CURSOR


@pytest.mark.parametrize("listing", [each for each in LISTINGS if each.kind != "messages"], ids=str)
def test_list_ignores_the_total_of_a_cursor_without_a_user(
    world: World, bob: httpx.Client, listing: Listing
) -> None:
    """Version 1.0 wrote no user, so such a cursor may be anybody's."""
    new_conversation(bob)
    new_run(bob)
    new_attachment(bob)
    cursor = world.read(listing, limit=5)["next_cursor"]
    order, key, _ = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    old = encoded(json.dumps([order, key]).encode())

    page = read(bob, listing.path(world.conversation), **listing.query, cursor=old)

    assert page["total"] == 1


@every_listing
def test_list_refuses_a_cursor_whose_user_was_replaced_by_anything_else(
    world: World, listing: Listing
) -> None:
    cursor = world.read(listing, limit=5)["next_cursor"]
    order, key, reader = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    others: list[Any] = ["", None, reader.upper() + "0", [reader], 0]

    answers = [
        refused(world.get(listing, cursor=encoded(json.dumps([order, key, other]).encode())))
        for other in others
    ]

    assert answers == [CURSOR] * len(others)


@every_listing
def test_list_refuses_a_cursor_with_an_offset(world: World, listing: Listing) -> None:
    cursor = world.read(listing, limit=5)["next_cursor"]

    response = world.get(listing, cursor=cursor, offset=1)

    assert refusals(response) == CURSOR


A_TIME = "2026-03-02T09:14:03.412907Z"
INVALID = {
    "empty": "",
    "one letter": "A",
    "word": "garbage",
    "outside the alphabet": "!!!",
    "padded": "WyJhc2MiLFsyXV0=",
    "too long": "A" * 513,
    "maximum length": "A" * 512,
    "not UTF-8": encoded(b"\xff\xfe\xfd"),
    "not JSON": encoded(b'["asc",['),
    "a number": encoded(b"5"),
    "null": encoded(b"null"),
    "an object": encoded(b'{"order": "asc"}'),
    "an empty list": encoded(b"[]"),
    "three things": encoded(b'["asc",[2],3]'),
    "four things": encoded(b'["asc",[2],3,4]'),
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
def test_list_refuses_an_invalid_cursor(world: World, listing: Listing) -> None:
    answers = {name: refused(world.get(listing, cursor=text)) for name, text in INVALID.items()}

    assert answers == dict.fromkeys(INVALID, CURSOR)


@every_listing
def test_list_refuses_a_forged_cursor(world: World, listing: Listing) -> None:
    """The cursor has the right form but another key."""
    cursor = world.read(listing, limit=5)["next_cursor"]
    order, key, reader = json.loads(base64.urlsafe_b64decode(cursor + "=="))

    def with_key(value: Any) -> str:
        return encoded(json.dumps([order, value, reader]).encode())

    assert ids(rows(world.read(listing, cursor=with_key(key))))
    answers = {
        str(forged): refused(world.get(listing, cursor=with_key(forged))) for forged in FORGED_KEYS
    }

    assert answers == dict.fromkeys(map(str, FORGED_KEYS), CURSOR)
