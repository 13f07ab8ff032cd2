"""Pages by key show every row once, in one order, also where times are equal."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from agent_api.http.pagination import array
from db import conversations, engine, messages
from db.paging.page import Page
from tests.db.rows import insert_conversation, insert_message

PAGE = {"limit": 2, "offset": 0}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("order_by", ["created_at", "updated_at"])
def test_pages_by_key_neither_repeat_nor_skip_where_times_are_equal(
    configured: None, user: str, order_by: str, order: str
) -> None:
    with engine.transaction() as connection:  # one transaction, one time for all
        made = [insert_conversation(connection, user) for _ in range(7)]
    arguments = {**PAGE, "order_by": order_by, "order": order, "source": None, "agent_id": None}

    with engine.autocommit() as connection:
        seen = walk(partial(conversations.select_page, connection, user_id=user), arguments)

    assert seen == sorted(made, reverse=order == "desc")


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_of_messages_go_on_from_a_key(
    connection: Connection, user: str, conversation_id: str, order: str
) -> None:
    made = [insert_message(connection, conversation_id, user) for _ in range(6)]
    arguments = {**PAGE, "order": order, "conversation_id": conversation_id, "user_id": user}

    seen = walk(partial(messages.select_page, connection), arguments)

    assert seen == (made if order == "asc" else made[::-1])


def walk(select_page: Callable[..., Page], arguments: dict[str, Any]) -> list[str]:
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
