"""list_message_versions: pages of what a message has said."""

import httpx
import pytest

from tests.calls import Json, post_message, read, refusals
from tests.editing import edit, path_of, version_of, versions_of
from tests.hostile.memory import MIB, peak
from tests.servers import Server

EDITS = 11
LARGE = "A long lease. " * 70_000


@pytest.fixture
def states(alice: httpx.Client, conversation: Json) -> list[Json]:
    """Another message of Alice's conversation, as it was at first and after each of its edits."""
    for content in ("Before", "After"):
        edit(alice, post_message(alice, conversation, content), content="Edited")
    states = [post_message(alice, conversation, "Version 1", metadata={"number": 1})]
    for number in range(2, EDITS + 2):
        changes = {"content": f"Version {number}"} if number % 2 else {"metadata": {"n": number}}
        states.append(edit(alice, states[0], **changes))
    return states


def path(message: Json) -> str:
    return f"{path_of(message)}/versions"


def test_list_message_versions_of_a_message_without_edits(
    alice: httpx.Client, conversation: Json
) -> None:
    message = post_message(alice, conversation, "Hello", metadata={"a": 1})

    page = read(alice, path(message))

    assert page.pop("versions") == [version_of(message)]
    assert page == {"total": 1, "limit": 50, "offset": 0, "next_cursor": None}
    assert read(alice, path(message), offset=1)["versions"] == []


@pytest.mark.parametrize("limit", [1, 2, EDITS, EDITS + 1, 100])
def test_list_message_versions_returns_pages(
    alice: httpx.Client, states: list[Json], limit: int
) -> None:
    expected = [version_of(state) for state in states]

    assert versions_of(alice, states[0], limit=limit) == expected
    first = read(alice, path(states[0]), limit=limit)
    assert (first["versions"], first["total"]) == (expected[:limit], len(states))
    rest = read(alice, path(states[0]), limit=limit, offset=limit)
    assert rest["versions"] == expected[limit : 2 * limit]
    assert read(alice, path(states[0]), offset=len(states))["total"] == len(states)


def test_list_message_versions_continues_while_the_message_is_edited(
    alice: httpx.Client, states: list[Json]
) -> None:
    cursor = read(alice, path(states[0]), limit=5)["next_cursor"]
    states.append(edit(alice, states[0], content="The last"))

    rest = read(alice, path(states[0]), cursor=cursor)

    assert rest["versions"] == [version_of(state) for state in states[5:]]
    assert rest["total"] == len(states)


def test_list_message_versions_refuses_other_cursors(
    alice: httpx.Client, bob: httpx.Client, states: list[Json], conversation: Json
) -> None:
    other = edit(alice, post_message(alice, conversation, "Other"), content="Edited")
    messages = f"/conversations/{conversation['id']}/messages"
    cursor = read(alice, path(states[0]), limit=1)["next_cursor"]
    of_messages = read(alice, messages, limit=1)["next_cursor"]

    for where, sent in (
        (path(other), cursor),
        (path(states[0]), of_messages),
        (path(states[0]), cursor[:-3]),
        (messages, cursor),
    ):
        response = alice.get(where, params={"cursor": sent})
        assert refusals(response) == {("query", "/cursor")}


def test_list_message_versions_limits_the_size_of_a_page(
    server: Server, alice: httpx.Client, conversation: Json
) -> None:
    message = post_message(alice, conversation, LARGE)
    for number in range(19):
        edit(alice, message, metadata={"number": number})
    expected = [1, *range(2, 21)]

    with peak(server) as memory:
        first = read(alice, path(message), limit=100)
        second = read(alice, path(message), limit=100, cursor=first["next_cursor"])

    found = [each["version"] for page in (first, second) for each in page["versions"]]
    assert found == expected
    assert len(first["versions"]) < len(expected)
    assert {each["content"] for each in first["versions"]} == {LARGE}
    assert second["next_cursor"] is None
    assert memory.grown < 8 * 16 * MIB
