"""Each query reads few rows, which an index finds and has in order."""

import json
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from db import engine
from db.messages import messages
from db.paging.row_page import MAX_BYTES
from tests.db.many_rows import insert_many
from tests.db.plans.explaining import (
    Action,
    conditions,
    explain,
    plan_of,
    rows_read,
    scans,
    show,
    sorts,
)
from tests.db.plans.filtered_lists import FILTERED
from tests.db.plans.lists import CONVERSATION, MERGED, OF_MEMBER, ORDERED, USER
from tests.db.plans.single_rows import LINKS, SINGLE
from tests.db.rows import TRACED, insert_conversation, message, traced


@pytest.fixture(scope="module")
def full_url(new_migrated_database: Callable[[], str]) -> str:
    url = new_migrated_database()
    insert_many(url)
    return url


@pytest.fixture(scope="module")
def full(full_url: str) -> Iterator[None]:
    engine.configure(full_url, pool_size=2, statement_timeout_ms=10_000, hooks=TRACED)
    yield
    engine.dispose()


def test_unfiltered_pages_are_read_in_index_order(full: None) -> None:
    failures = []
    for name, (action, index) in ORDERED.items():
        plan = plan_of(action)
        reads = [node for node in plan if node.get("Index Name") == index]
        # With a cursor the index is entered at its key, so that all pages cost the same.
        starts_at_key = any(" < " in each or " > " in each for each in conditions(reads))
        if (
            scans(plan)
            or sorts(plan)
            or not reads
            or (name.endswith("cursor") and not starts_at_key)
        ):
            failures.append(name)
            show(name, plan)

    assert failures == []


def test_filtered_pages_read_few_rows(full: None) -> None:
    failures = []
    for name, (action, index) in FILTERED.items():
        plan = plan_of(action, "ANALYZE, TIMING OFF")
        # In the order of updated_at the same index finds the rows, and they are sorted.
        uses_index = index is None or index in {node.get("Index Name") for node in plan}
        if scans(plan) or not uses_index or max(rows_read(node) for node in plan) > 500:
            failures.append(name)
            show(name, plan)

    assert failures == []


def test_pages_of_members_read_few_rows(full: None) -> None:
    failures = []
    for name, (action, index) in OF_MEMBER.items():
        plan = plan_of(action, "ANALYZE, TIMING OFF")
        # A page reads as many rows of each kind as it may have. The total and filters read all of
        # the member's 600 rows.
        most = 60 if "unfiltered cursor" in name else 700
        uses_index = index is None or index in {node.get("Index Name") for node in plan}
        if scans(plan) or not uses_index or max(rows_read(node) for node in plan) > most:
            failures.append(name)
            show(name, plan)

    assert failures == []


def test_pages_of_merged_ranges_read_few_rows(full: None) -> None:
    failures = []
    for name, action in MERGED.items():
        plan = plan_of(action, "ANALYZE, TIMING OFF")
        if scans(plan) or max(rows_read(node) for node in plan) > 500:
            failures.append(name)
            show(name, plan)

    assert failures == []


def test_single_rows_are_found_by_an_index(full: None) -> None:
    with engine.autocommit() as connection:
        page = messages.select_page(connection, conversation_id=CONVERSATION, user_id=USER, limit=1)
    message_id = json.loads(page.documents)[0]["id"]
    actions: dict[str, Action] = {
        **SINGLE,
        "read message": partial(messages.select_one, message_id=message_id, user_id=USER),
    }

    failures = []
    for name, action in actions.items():
        plan = plan_of(action)
        # A message locks its attachments, at most 50, in the order of their ids.
        if scans(plan) or (sorts(plan) and "attachment" not in name):
            failures.append(name)
            show(name, plan)

    assert failures == []


def test_foreign_keys_find_their_rows_by_an_index(full: None) -> None:
    with engine.autocommit() as connection:
        plans = {
            name: explain(connection, sql, {"id": CONVERSATION}) for name, sql in LINKS.items()
        }

    assert [name for name, plan in plans.items() if scans(plan)] == []


@pytest.mark.slow
def test_page_of_large_rows_stops_reading_at_the_size_limit(full: None) -> None:
    with engine.transaction() as connection, traced() as trace:
        conversation_id = insert_conversation(connection, USER)
        for _ in range(4):
            messages.insert(connection, **message(conversation_id, USER, content="x" * 9_000_000))
        trace.clear()
        page = messages.select_page(
            connection, conversation_id=conversation_id, user_id=USER, limit=4
        )
        (_, first), (_, second) = trace
        connection.execute("ROLLBACK")

    assert len(json.loads(page.documents)) == 2
    assert first["largest"] * first["limit"] <= MAX_BYTES
    assert second["limit"] == 2
