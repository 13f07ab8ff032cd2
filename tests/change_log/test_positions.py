"""Pages of the log, and positions that it has no more or not yet."""

from typing import Any

import httpx
import pytest

from tests.calls import Json, change, new_conversation, post_message, read, refusals
from tests.change_log.sending import conversation_of
from tests.contract import Rows, assert_problem
from tests.mirror import CHANGES, SETTINGS, changes_after, position


def test_list_changes_returns_pages(alice: httpx.Client) -> None:
    conversation = new_conversation(alice)
    for number in range(5):
        post_message(alice, conversation, f"Message {number}")

    first = read(alice, CHANGES, after=0, limit=4)
    second = read(alice, CHANGES, after=4, limit=4)
    at_end = read(alice, CHANGES, after=6)

    assert [each["sequence"] for each in first["changes"]] == [1, 2, 3, 4]
    assert [each["sequence"] for each in second["changes"]] == [5, 6]
    assert (first["limit"], first["last_sequence"], second["last_sequence"]) == (4, 6, 6)
    assert at_end == {"changes": [], "limit": 100, "last_sequence": 6}


def test_list_changes_ends_a_page_of_large_objects_early(alice: httpx.Client) -> None:
    conversation = new_conversation(alice)
    for _ in range(20):
        post_message(alice, conversation, "x" * 1_000_000)

    page = read(alice, CHANGES, after=0)

    assert 16 <= len(page["changes"]) <= 18
    assert page["last_sequence"] == 21
    assert len(list(changes_after(alice, 0))) == 21


def test_list_changes_refuses_positions_beyond_the_end(alice: httpx.Client, rows: Rows) -> None:
    end = position(alice)

    for after in (end + 1, 2**53 - 1):
        problem = assert_problem(alice.get(CHANGES, params={"after": after}), 410)
        assert problem["type"] == "/problems/position-expired"
    assert read(alice, CHANGES, after=end)["changes"] == []


def test_list_changes_refuses_positions_before_the_oldest_change(
    alice: httpx.Client, rows: Rows, database: Any
) -> None:
    for number in range(2):
        change(alice, conversation_of(rows), title=f"Title {number}")
    assert position(alice) == 9
    user = read(alice, SETTINGS)["user_id"]
    with database.cursor() as cursor:
        cursor.execute("DELETE FROM changes WHERE user_id = %s AND sequence <= 7", [user])

    for after in range(7):
        assert_problem(alice.get(CHANGES, params={"after": after}), 410)
    assert [each["sequence"] for each in changes_after(alice, 7)] == [8, 9]


@pytest.mark.parametrize("name", ["after", "limit"])
def test_list_changes_refuses_invalid_parameters(alice: httpx.Client, name: str) -> None:
    for value in ("-1", "1.5", "x", "", "9" * 19, "501" if name == "limit" else str(2**53)):
        response = alice.get(CHANGES, params={name: value})
        assert refusals(response) == {("query", f"/{name}")}


def test_list_changes_numbers_a_long_log_in_steps(alice: httpx.Client, database: Any) -> None:
    user = read(alice, SETTINGS)["user_id"]
    with database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO changes (user_id, type) SELECT %s, 'run.updated'"
            " FROM generate_series(1, 12345)",
            [user],
        )

    assert position(alice) == 12345
    found: list[Json] = list(changes_after(alice, 12000, limit=200))
    assert len(found) == 345
