"""Tests that pages by key return each row once and in order, even if times are equal."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from agent_api.http.pagination import array
from db import conversations, engine, messages
from db.engine import Connection
from db.paging.page import Page
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
        seen = read_all(partial(conversations.select_page, connection, user_id=user), arguments)

    assert seen == sorted(made, reverse=order == "desc")


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_messages_are_returned_once(
    connection: Connection, user: str, conversation_id: str, order: str
) -> None:
    made = [insert_message(connection, conversation_id, user) for _ in range(6)]
    arguments = {**PAGE, "order": order, "conversation_id": conversation_id, "user_id": user}

    seen = read_all(partial(messages.select_page, connection), arguments)

    assert seen == (made if order == "asc" else made[::-1])


def read_all(select_page: Callable[..., Page], arguments: dict[str, Any]) -> list[str]:
    seen: list[str] = []
    after = None
    while True:
        page = select_page(**{**arguments, "after": after})
        items = json.loads(array(page.documents))
        assert len(items) <= arguments["limit"]
        seen += [item["id"] for item in items]
        after = page.next_key
        if after is None:
            assert page.total == len(seen)
            return seen
