"""Pages of filtered lists, and the index that finds their rows."""

from itertools import product
from typing import Any

from tests.db.plans.explaining import Action
from tests.db.plans.lists import (
    CONVERSATION,
    ORDERS,
    PLACES,
    TIMES,
    list_attachments,
    list_conversations,
    list_runs,
)

# Filters and their index; None if the planner may choose among several.
CONVERSATION_FILTERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "source": ({"source": "rare"}, "idx_conversations_source"),
    "agent_id": ({"agent_id": "rare"}, "idx_conversations_agent_id"),
    "agent_id of decisions": ({"agent_id": "routed"}, "idx_conversation_agents_agent_id"),
    "tag": ({"tag": "rare"}, "idx_conversation_tags_tag"),
    "archived": ({"archived": True}, None),
    "pinned": ({"pinned": True}, None),
    "pinned and archived": ({"archived": True, "pinned": True}, None),
    "tag of pinned": ({"tag": "common", "pinned": True}, None),
    "tag and agent_id": ({"tag": "rare", "agent_id": "dispatched", "archived": None}, None),
    "all": (
        {"source": "rare", "agent_id": "rare", "tag": "common", "archived": None, "pinned": False},
        None,
    ),
}

RUN_FILTERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "conversation_id": ({"conversation_id": CONVERSATION}, "idx_runs_conversation_id"),
    "agent_id": ({"agent_id": "rare"}, "idx_runs_agent_id"),
    "status": ({"status": "running"}, "idx_runs_status_running"),
    "all": ({"conversation_id": CONVERSATION, "agent_id": "rare", "status": "running"}, None),
}

ATTACHMENT_FILTERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "added_to_library": ({"added_to_library": True}, "idx_chat_attachments_added_to_library"),
    "conversation_id": ({"conversation_id": CONVERSATION}, "idx_chat_attachments_conversation_id"),
    "both": ({"added_to_library": True, "conversation_id": CONVERSATION}, None),
}

FILTERED: dict[str, tuple[Action, str | None]] = {
    **{
        f"conversations {time} {order} {name} {place}": (
            list_conversations(time, order, **filters, **given),
            index,
        )
        for time, order, (name, (filters, index)), (place, given) in product(
            TIMES, ORDERS, CONVERSATION_FILTERS.items(), PLACES.items()
        )
    },
    **{
        f"runs {order} {name} {place}": (list_runs(order, **filters, **given), index)
        for order, (name, (filters, index)), (place, given) in product(
            ORDERS, RUN_FILTERS.items(), PLACES.items()
        )
    },
    **{
        f"attachments {order} {name} {place}": (list_attachments(order, **filters, **given), index)
        for order, (name, (filters, index)), (place, given) in product(
            ORDERS, ATTACHMENT_FILTERS.items(), PLACES.items()
        )
    },
}
