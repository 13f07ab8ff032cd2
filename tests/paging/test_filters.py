"""What narrows a list, and the bounds of what can be asked of it."""

from collections.abc import Callable

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    ids,
    new_run,
    pages,
    read,
    read_all,
    refusals,
    rows,
)
from tests.paging.listings import ROWS, Listing, World, every_listing


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
