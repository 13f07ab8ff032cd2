"""Tests that the pages together are the whole list, even if it changes in between."""

import base64
import json
from itertools import count

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import (
    Json,
    ids,
    new_attachment,
    new_conversation,
    new_run,
    pages,
    post_message,
    read,
    rows,
)
from tests.paging.listings import (
    LISTINGS,
    ROWS,
    Listing,
    World,
    encoded,
    every_listing,
)

SIZES = {7: [7, 7, 7, 3], 8: [8, 8, 8], ROWS: [ROWS], ROWS + 1: [ROWS], ROWS - 1: [ROWS - 1, 1]}


@every_listing
def test_list_pages_by_cursor_are_the_whole_list(world: World, listing: Listing) -> None:
    path = listing.path(world.conversation)
    for limit, sizes in SIZES.items():
        found = list(pages(world.client, path, **listing.query, limit=limit))

        assert [len(rows(page)) for page in found] == sizes, limit
        assert [row_id for page in found for row_id in ids(rows(page))] == world.expected(listing)
        numbers = {(page["total"], page["limit"], page["offset"]) for page in found}
        assert numbers == {(ROWS, limit, 0)}
        assert found[-1]["next_cursor"] is None


@every_listing
def test_list_pages_by_offset_are_the_whole_list(world: World, listing: Listing) -> None:
    for limit in (5, 8):
        offsets = range(0, ROWS, limit)
        found = [world.read(listing, limit=limit, offset=offset) for offset in offsets]

        assert [row_id for page in found for row_id in ids(rows(page))] == world.expected(listing)
        assert [page["offset"] for page in found] == list(offsets)
        assert {page["total"] for page in found} == {ROWS}
        is_last = [page["next_cursor"] is None for page in found]
        assert is_last == [offset + limit >= ROWS for offset in offsets]


@given(
    listing=st.sampled_from(LISTINGS),
    steps=st.lists(
        st.tuples(st.integers(1, 2 * ROWS), st.sampled_from(["cursor", "offset"])), max_size=8
    ),
)
def test_list_pages_of_any_size_and_kind_are_the_whole_list(
    world: World, listing: Listing, steps: list[tuple[int, str]]
) -> None:
    """A cursor continues after a page that was read by offset, and the other way round."""
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
def test_list_beyond_its_end_is_empty(world: World, listing: Listing) -> None:
    for offset in (ROWS, ROWS + 1, 2**31 - 1):
        page = world.read(listing, offset=offset)

        assert rows(page) == []
        assert (page["total"], page["offset"], page["next_cursor"]) == (ROWS, offset, None)


@every_listing
def test_list_accepts_a_cursor_with_offset_0(world: World, listing: Listing) -> None:
    cursor = world.read(listing, limit=5)["next_cursor"]

    page = world.read(listing, limit=5, cursor=cursor, offset=0)

    assert ids(rows(page)) == world.expected(listing)[5:10]


@every_listing
def test_list_accepts_a_cursor_repeatedly(world: World, listing: Listing) -> None:
    cursor = world.read(listing, limit=5)["next_cursor"]

    assert world.read(listing, cursor=cursor) == world.read(listing, cursor=cursor)


@pytest.mark.parametrize("listing", [each for each in LISTINGS if each.kind != "messages"], ids=str)
def test_list_accepts_a_cursor_of_version_1_0(world: World, listing: Listing) -> None:
    """Such a cursor contains no total, so the total is counted again."""
    page = world.read(listing, limit=5)
    order, (moment, row_id, _), _ = json.loads(base64.urlsafe_b64decode(page["next_cursor"] + "=="))
    old = encoded(json.dumps([order, [moment, row_id]]).encode())

    following = world.read(listing, limit=5, cursor=old)

    assert following == world.read(listing, limit=5, cursor=page["next_cursor"])
    assert following["total"] == ROWS


@every_listing
def test_list_pages_neither_repeat_nor_skip_rows_while_rows_are_added(
    alice: httpx.Client, conversation: Json, listing: Listing
) -> None:
    def add(number: int) -> str:
        if listing.operation_id == "list_messages":
            row = post_message(alice, conversation, str(number))
        elif listing.operation_id == "list_runs":
            row = new_run(alice)
        elif listing.operation_id == "list_chat_attachments":
            row = new_attachment(alice)
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
        # The count of messages is current; other totals are counted once, for the first page.
        counted = added if listing.operation_id == "list_messages" else before
        assert page["total"] == len(counted)
        added.append(add(next(numbers)))

    if listing.query["order"] == "desc":
        assert seen == before[::-1]
    else:
        assert seen == added[:-1]


@pytest.mark.parametrize("order_by", ["created_at", "updated_at"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_list_conversations_continues_after_a_deleted_row(
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
    assert following["total"] == page["total"] == 7  # counted for the first page


def test_list_conversations_by_updated_at_may_repeat_an_updated_row(alice: httpx.Client) -> None:
    """A row that is updated between two pages may be repeated; all others appear once."""
    made = [new_conversation(alice) for _ in range(9)]
    seen = []

    for page in pages(alice, "/conversations", order_by="updated_at", order="asc", limit=3):
        seen += ids(rows(page))
        if len(seen) == 3:
            post_message(alice, made[0], "Hello")

    assert seen == ids([*made, made[0]])
