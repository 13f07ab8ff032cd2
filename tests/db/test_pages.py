"""Tests that pages by key return each row once and in order, even if times are equal."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import psycopg2
import pytest

from db import engine
from db.conversations import conversation_lists
from db.engine import Connection, Hooks
from db.messages import messages
from db.paging.page import Page
from db.paging.row_page import MAX_BYTES
from tests.db.rows import insert_conversation, insert_message

PAGE = {"limit": 2}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("order_by", ["created_at", "updated_at"])
def test_conversations_with_equal_times_are_returned_once(
    configured: None, user: str, order_by: str, order: str
) -> None:
    with engine.transaction() as connection:  # rows of one transaction have equal times
        made = [insert_conversation(connection, user) for _ in range(7)]
    arguments = {**PAGE, "order_by": order_by, "order": order}

    with engine.autocommit() as connection:
        seen = read_all(
            partial(conversation_lists.select_page, connection, user_id=user), arguments
        )

    assert seen == sorted(made, reverse=order == "desc")


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_messages_are_returned_once(
    connection: Connection, user: str, conversation_id: str, order: str
) -> None:
    made = [insert_message(connection, conversation_id, user) for _ in range(6)]
    arguments = {**PAGE, "order": order, "conversation_id": conversation_id, "user_id": user}

    seen = read_all(partial(messages.select_page, connection), arguments)

    assert seen == (made if order == "asc" else made[::-1])


def test_page_is_empty_if_its_large_rows_are_deleted_while_it_is_read(
    database_url: str, user: str
) -> None:
    deleted: list[str] = []

    @contextmanager
    def deleting(_sql: str, parameters: Mapping[str, Any] | None) -> Iterator[None]:
        # The first execution selects no large texts, the second one any.
        if parameters is not None and parameters.get("largest", 0) > MAX_BYTES:
            with closing(psycopg2.connect(database_url)) as other, other, other.cursor() as cursor:
                cursor.execute("DELETE FROM messages WHERE user_id = %s RETURNING id", (user,))
                deleted.extend(row_id for (row_id,) in cursor.fetchall())
        yield

    hooks = Hooks(around_statement=deleting)
    engine.configure(database_url, pool_size=1, statement_timeout_ms=10_000, hooks=hooks)
    try:
        with engine.autocommit() as connection:
            conversation_id = insert_conversation(connection, user)
            for _ in range(3):
                insert_message(connection, conversation_id, user, content="x" * 6_000_000)
            page = messages.select_page(
                connection, conversation_id=conversation_id, user_id=user, limit=2
            )
    finally:
        engine.dispose()

    assert len(deleted) == 3
    assert page == Page(b"[]", 3, None)


def read_all(select_page: Callable[..., Page], arguments: dict[str, Any]) -> list[str]:
    seen: list[str] = []
    after = None
    while True:
        page = select_page(**{**arguments, "after": after})
        items = json.loads(page.documents)
        assert len(items) <= arguments["limit"]
        seen += [item["id"] for item in items]
        after = page.next_key
        if after is None:
            assert page.total == len(seen)
            return seen
