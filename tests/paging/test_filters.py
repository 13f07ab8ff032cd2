"""Tests of filters, and of the limits and defaults of list parameters."""

from collections.abc import Callable
from itertools import product
from typing import Any

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    Json,
    ids,
    new_run,
    pages,
    read,
    read_all,
    refusals,
    rows,
)
from tests.paging.listings import LISTINGS, ROWS, Listing, World, every_listing, refused

INVALID = {
    "limit": ["0", "-1", "501", "ten", ""],
    "offset": ["-1", "2147483648", "1.5"],
    "order": ["up", "ASC"],
}


@every_listing
def test_list_refuses_invalid_parameters(world: World, listing: Listing) -> None:
    answers = {
        (name, value): refused(world.get(listing, **{name: value}))
        for name, values in INVALID.items()
        for value in values
    }

    assert answers == {(name, value): {("query", f"/{name}")} for name, value in answers}


@every_listing
def test_list_has_a_maximum_limit(world: World, listing: Listing) -> None:
    greatest = 500 if listing.operation_id == "list_messages" else 100

    assert world.read(listing, limit=greatest)["limit"] == greatest
    assert refusals(world.get(listing, limit=greatest + 1)) == {("query", "/limit")}


def test_list_conversations_refuses_an_unknown_order_by(world: World) -> None:
    response = world.client.get("/conversations", params={"order_by": "title"})

    assert refusals(response) == {("query", "/order_by")}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/conversations", "created_at"),
        ("/runs", "runs"),
        ("/chat-attachments", "chat_attachments"),
    ],
    ids=["list_conversations", "list_runs", "list_chat_attachments"],
)
def test_list_returns_its_defaults(world: World, path: str, kind: str) -> None:
    page = read(world.client, path)

    assert ids(rows(page)) == world.oldest_first[kind][::-1]
    assert (page["limit"], page["offset"], page["total"]) == (50, 0, ROWS)


def read_filtered(
    world: World, listing: Listing, filters: dict[str, str]
) -> tuple[list[str], set[int]]:
    """Return the ids and the totals of all pages."""
    path = listing.path(world.conversation)
    found = list(pages(world.client, path, **listing.query, **filters, limit=3))
    return [row_id for page in found for row_id in ids(rows(page))], {
        page["total"] for page in found
    }


def matching(
    world: World, listing: Listing, candidates: list[Json], filters: dict[str, Any]
) -> tuple[list[str], set[int]]:
    """Return the ids and the total that `read_filtered` should return."""
    found = {
        row["id"]
        for row in candidates
        if all(row[name] == value for name, value in filters.items())
    }
    return [row_id for row_id in world.expected(listing) if row_id in found], {len(found)}


CONVERSATION_FILTERS = [
    {"source": "web"},
    {"agent_id": "web-agent"},
    {"source": "agent-manager", "agent_id": "document-agent"},
    {"source": "web", "agent_id": "nobody"},
    {"source": "WEB"},
    {"source": "we"},
    {"agent_id": "%"},
]


def listings_of(operation_id: str) -> pytest.MarkDecorator:
    chosen = [listing for listing in LISTINGS if listing.operation_id == operation_id]
    return pytest.mark.parametrize("listing", chosen, ids=str)


@listings_of("list_conversations")
def test_list_conversations_filters_by_exact_values(world: World, listing: Listing) -> None:
    for filters in CONVERSATION_FILTERS:
        expected = matching(world, listing, world.conversations, filters)

        assert read_filtered(world, listing, filters) == expected, filters


@listings_of("list_runs")
def test_list_runs_filters_by_exact_values(world: World, listing: Listing) -> None:
    agents = [{}, {"agent_id": "web-agent"}, {"agent_id": "nobody"}]
    statuses = [{}, {"status": "running"}, {"status": "cancelled"}]
    of_conversation = [{}, {"conversation_id": world.conversation["id"]}]
    for parts in product(agents, statuses, of_conversation):
        filters = parts[0] | parts[1] | parts[2]
        expected = matching(world, listing, world.runs, filters)

        assert read_filtered(world, listing, filters) == expected, filters


@listings_of("list_chat_attachments")
def test_list_chat_attachments_filters_by_exact_values(world: World, listing: Listing) -> None:
    of_conversation = [{}, {"conversation_id": world.conversation["id"]}]
    for library, conversation in product([None, True, False], of_conversation):
        of_library = {} if library is None else {"added_to_library": library}
        expected = matching(world, listing, world.attachments, of_library | conversation)
        query = {name: str(value).lower() for name, value in of_library.items()} | conversation

        assert read_filtered(world, listing, query) == expected, query


def test_list_runs_filters_by_the_current_status(alice: httpx.Client) -> None:
    run = new_run(alice)
    alice.patch(f"/runs/{run['id']}", json={"status": "failed"})

    assert read(alice, "/runs", status="pending")["total"] == 0
    assert ids(read_all(alice, "/runs", status="failed")) == [run["id"]]


def test_list_runs_of_another_users_conversation_is_empty(
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
        ("/chat-attachments", "conversation_id", ""),
        ("/chat-attachments", "added_to_library", "yes"),
    ],
    ids=lambda value: value[:20],
)
def test_list_refuses_an_invalid_filter(world: World, path: str, name: str, value: str) -> None:
    response = world.client.get(path, params={name: value})

    assert refusals(response) == {("query", f"/{name}")}
