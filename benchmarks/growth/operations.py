"""The six operations of the benchmark, on the rows of this one: as requests and as queries."""

from collections.abc import Callable
from typing import Any

from benchmarks.growth import writers
from benchmarks.growth.rows import (
    LONG,
    QUESTION,
    READER,
    SPREAD,
    WRITER,
    Sizes,
    lister,
    long_message,
    row_id,
)
from benchmarks.workload import Call
from db import chat_settings
from db.conversations import conversation_lists, conversations
from db.engine import Connection
from db.messages import messages

Query = Callable[[Connection], Any]


def calls(sizes: Sizes) -> dict[str, list[Call]]:
    """What a client asks for: pages of 50 and 100 of the users and conversations in between."""
    conversation = f"/conversations/{row_id(LONG, 1)}"
    return {
        "list_conversations": [Call(lister(sizes.conversations[1]), "/conversations?limit=50")],
        "get_conversation": [Call(READER, conversation)],
        "list_messages": [Call(READER, f"{conversation}/messages")],
        "create_message": [writers.to(SPREAD, number) for number in sizes.spread_numbers],
        "get_message": [Call(READER, f"/messages/{long_message(1, 7)}")],
        "get_chat_settings": [Call(READER, "/users/me/chat-settings")],
    }


def queries(sizes: Sizes) -> dict[str, Query]:
    """What the handlers call for them."""
    user, long = lister(sizes.conversations[1]), row_id(LONG, 1)
    return {
        "list_conversations": lambda c: conversation_lists.select_page(c, user_id=user, limit=50),
        "get_conversation": lambda c: conversations.select_with_messages(
            c, conversation_id=long, user_id=READER, limit=100
        ),
        "list_messages": lambda c: messages.select_page(
            c, conversation_id=long, user_id=READER, limit=100
        ),
        "create_message": lambda c: messages.insert(
            c,
            conversation_id=row_id(SPREAD, sizes.spread_numbers[0]),
            user_id=WRITER,
            role="user",
            content=QUESTION,
            title=QUESTION,
        ),
        "get_message": lambda c: messages.select_one(
            c, message_id=long_message(1, 7), user_id=READER
        ),
        "get_chat_settings": lambda c: chat_settings.select_one(c, user_id=READER),
    }
