"""Pages of lists, and the index that has their order."""

from functools import partial
from itertools import product
from typing import Any

from db import runs
from db.attachments import chat_attachments
from db.conversations import conversation_lists
from db.messages import messages
from tests.db.plans.explaining import Action

USER = "user"
MEMBER = "user-1"
"""A user with 30 own conversations, and a member of 600."""
CONVERSATION = "00000000-0000-7000-8000-000000000000"
ATTACHMENT = "00000000-0000-7000-a000-000000000000"
RUN = "00000000-0000-7000-9000-000000000000"
TIME_KEY = ["2025-12-22T00:00:00.000000Z", CONVERSATION, 60]


def list_conversations(order_by: str, order: str, user_id: str = USER, **given: Any) -> Action:
    page = partial(conversation_lists.select_page, user_id=user_id, limit=20)
    return partial(page, order_by=order_by, order=order, **given)


def list_runs(order: str, **given: Any) -> Action:
    return partial(runs.select_page, user_id=USER, limit=20, order=order, **given)


def list_attachments(order: str, **given: Any) -> Action:
    page = partial(chat_attachments.select_page, user_id=USER, limit=20)
    return partial(page, order=order, **given)


def list_messages(order: str, **given: Any) -> Action:
    page = partial(messages.select_page, conversation_id=CONVERSATION, user_id=USER, limit=5)
    return partial(page, order=order, **given)


ORDERS = ("asc", "desc")
TIMES = {"created_at": "idx_conversations_created_at", "updated_at": "idx_conversations_user_id"}
PLACES: dict[str, dict[str, Any]] = {
    "first": {},
    "offset": {"offset": 40},
    "cursor": {"after": TIME_KEY},
}

# Unfiltered pages and the index that has their order.
ORDERED: dict[str, tuple[Action, str]] = {
    **{
        f"conversations {time} {place}": (list_conversations(time, "desc", **given), index)
        for (time, index), (place, given) in product(TIMES.items(), PLACES.items())
    },
    **{
        f"runs {order} {place}": (list_runs(order, **given), "idx_runs_created_by")
        for order, (place, given) in product(ORDERS, PLACES.items())
    },
    **{
        f"attachments {order} {place}": (
            list_attachments(order, **given),
            "idx_chat_attachments_created_at",
        )
        for order, (place, given) in product(ORDERS, PLACES.items())
    },
    **{
        f"messages {order} {place}": (list_messages(order, **given), "idx_messages_conversation_id")
        for order, (place, given) in product(ORDERS, {**PLACES, "cursor": {"after": [10]}}.items())
    },
}

# Pages that merge several ranges of the index, or that a common value of a filter hardly limits.
WIDE: dict[str, dict[str, Any]] = {
    "oldest first": {"order": "asc"},
    "archived or not": {"order": "desc", "archived": None},
    "archived or not, oldest first": {"order": "asc", "archived": None},
    "not pinned": {"order": "desc", "pinned": False},
    "common tag": {"order": "desc", "tag": "common"},
    "common agent": {"order": "desc", "agent_id": "common"},
    "common agent of decisions": {"order": "desc", "agent_id": "dispatched"},
}

MERGED: dict[str, Action] = {
    f"conversations {time} {name} {'pinned' if key[3:] else ''}": list_conversations(
        time, **given, after=key
    )
    for time, (name, given), key in product(TIMES, WIDE.items(), (TIME_KEY, [*TIME_KEY, True]))
}

# Lists of a member, and the index that has their order.
OF_MEMBER: dict[str, tuple[Action, str | None]] = {
    f"{time} {order} {kind} {name} {place}": (
        list_conversations(time, order, MEMBER, **given, **filters, **shared),
        None if filters else f"idx_memberships_{time}",
    )
    for time, order, (place, given), (kind, shared), (name, filters) in product(
        TIMES,
        ORDERS,
        PLACES.items(),
        {"all": {}, "shared": {"shared": True}}.items(),
        {"unfiltered": {}, "filtered": {"source": "rare", "agent_id": "rare"}}.items(),
    )
}
