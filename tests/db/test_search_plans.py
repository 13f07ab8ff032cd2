"""Tests that a search reads only the entries of one user's words, however many others there are."""

import io
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import psycopg2
import pytest

from db import engine
from db.search import backlog, lexemes, query, search
from tests.db.plans.explaining import explain, plan_of, rows_read, scans, show
from tests.db.rows import TRACED

USERS = 40
MESSAGES = 1_000
RARE = 3
"""How many messages of each user have the word `rare`; a tenth has `common`, all have `the`."""
INDEX = "idx_message_terms_terms"

CONVERSATIONS = """
INSERT INTO conversations (id, title, user_id, source, agent_id, last_position, indexed_position,
                           archived)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(u * 100 + n), 12, '0'))::uuid, 'A title',
       'user-' || u, CASE WHEN n %% 10 = 0 THEN 'rare' ELSE 'web' END, 'a', 0, 0, n %% 10 = 1
FROM generate_series(0, %(users)s - 1) AS u, generate_series(0, 99) AS n
"""
MEMBERSHIPS = """
INSERT INTO memberships (conversation_id, user_id, owner_id, share_id, role, shared_at, created_at,
                         updated_at)
SELECT id, 'member', user_id, gen_random_uuid(), 'viewer', now(), now(), now()
FROM conversations WHERE user_id IN ('user-1', 'user-2', 'user-3')
"""


@pytest.fixture(scope="module")
def full(new_migrated_database: Callable[[], str]) -> Iterator[None]:
    """Configure the engine for a database with the terms of many users, whose rows alternate."""
    url = new_migrated_database()
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(CONVERSATIONS, {"users": USERS})
        cursor.execute(MEMBERSHIPS)
        cursor.copy_expert("COPY message_terms FROM STDIN", io.StringIO("".join(_rows())))
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE")
    engine.configure(url, pool_size=2, statement_timeout_ms=10_000, hooks=TRACED)
    yield
    engine.dispose()


def _rows() -> Iterator[str]:
    for number in range(MESSAGES):
        text = f"the words of message {number}"
        text += " common" if number % 10 == 0 else ""
        text += " rare" if number < RARE else ""
        for user in range(USERS):
            conversation = f"00000000-0000-7000-8000-{user * 100 + number % 100:012x}"
            terms = lexemes.vector(f"user-{user}", text)
            time = f"2026-01-01 00:{number // 60:02}:{number % 60:02}Z"
            yield f"{conversation}\t{uuid.uuid4()}\tuser-{user}\tuser\t{time}\t{terms}\n"


def searching(q: str, user_id: str = "user-1", **given: Any) -> partial[search.Page]:
    words = query.parse(q)
    return partial(search.select_page, user_id=user_id, query=words, limit=20, **given)


ALL_FILTERS: dict[str, Any] = {
    "archived": False,
    "source": "web",
    "agent_id": "a",
    "role": "user",
    "created_after": "2000-01-01T00:00:00+00:00",
    "created_before": "2999-01-01T00:00:00+00:00",
}
# Searches, and how many entries of the index they may read: those of the user's words.
SEARCHES = {
    "rare": (searching("rare"), RARE),
    "common": (searching("common"), 100),
    "every message": (searching("the"), MESSAGES),
    "two words": (searching("rare common"), 100 + RARE),
    "a phrase": (searching('"the words"'), 2 * MESSAGES),
    "or": (searching("rare or common"), 100 + RARE),
    "an exclusion": (searching("rare -common"), RARE),
    "no such word": (searching("missing"), 0),
    "unarchived": (searching("common", archived=False), 100),
    "archived": (searching("common", archived=True), 100),
    "all filters": (searching("common", **ALL_FILTERS), 100),
    "a page after another": (
        searching("common", after=[0.01, "2026-03-02T09:14:03.412907Z", str(uuid.uuid4())]),
        100,
    ),
    "of a member": (searching("rare", user_id="member"), RARE),
}


def test_search_reads_only_the_entries_of_the_owners_words(full: None) -> None:
    failures = []
    for name, (action, most) in SEARCHES.items():
        plan = [*plan_of(action, "ANALYZE, TIMING OFF")]
        entries = [node for node in plan if node.get("Index Name") == INDEX]
        tables = [node for node in plan if node.get("Relation Name") == "message_terms"]
        # The few archived conversations may also be read one by one.
        is_read_by_conversation = name == "archived"
        if (
            (not entries and not is_read_by_conversation)
            or any(float(node["Actual Rows"]) > most for node in entries)
            or max(rows_read(node) for node in tables) > most
            or scans(tables)
        ):
            failures.append(name)
            show(name, plan)

    assert failures == []


def test_deleted_conversation_finds_its_terms_by_an_index(full: None) -> None:
    delete = "DELETE FROM message_terms WHERE conversation_id = %(id)s AND user_id = 'user-1'"
    with engine.autocommit() as connection:
        plan = explain(connection, delete, {"id": str(uuid.UUID(int=0))})

    assert "pk_message_terms" in {node.get("Index Name") for node in plan}
    assert not scans(plan)


def test_messages_to_be_indexed_are_found_by_an_index(full: None) -> None:
    plan = plan_of(partial(backlog.select_behind, most=100))

    assert {node.get("Index Name") for node in plan} == {None, "idx_conversations_unindexed"}
    assert not scans(plan)
