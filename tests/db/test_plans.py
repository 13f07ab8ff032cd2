"""Checks the plans of all queries over 100,000 rows: no sequential scans, no needless sorting.

The statements are the ones that the queries send. A failure prints the plan.
"""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import pytest

import migrations
from db import chat_settings, engine, idempotency_keys, runs, schema
from db.attachments import chat_attachments
from db.conversations import conversation_deletion, conversation_lists, conversations
from db.engine import Connection
from db.messages import messages
from db.paging.row_page import MAX_BYTES
from tests.db.many_rows import insert_many
from tests.db.rows import (
    TRACED,
    answer,
    insert_attachment,
    insert_conversation,
    insert_run,
    message,
    split,
    traced,
    value,
)

USER = "user"
MEMBER = "user-1"
"""A user with 30 own conversations, and a member of 600."""
CONVERSATION = "00000000-0000-7000-8000-000000000000"
ATTACHMENT = "00000000-0000-7000-a000-000000000000"
RUN = "00000000-0000-7000-9000-000000000000"
TIME_KEY = ["2025-12-22T00:00:00.000000Z", CONVERSATION, 60]

Action = Callable[[Connection], object]
Node = dict[str, Any]


@pytest.fixture(scope="module")
def full_url(new_database: Callable[[], str]) -> str:
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
    insert_many(url)
    return url


@pytest.fixture(scope="module")
def full(full_url: str) -> Iterator[None]:
    engine.configure(full_url, pool_size=2, statement_timeout_ms=10_000, hooks=TRACED)
    yield
    engine.dispose()


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


def added_attachment(connection: Connection) -> str:
    attachment_id = insert_attachment(connection, USER)
    messages.insert(connection, **message(CONVERSATION, USER, attachment_ids=[attachment_id]))
    return attachment_id


ORDERS = ("asc", "desc")
TIMES = {"created_at": "idx_conversations_created_at", "updated_at": "idx_conversations_user_id"}
PLACES: dict[str, dict[str, Any]] = {
    "first": {},
    "offset": {"offset": 40},
    "cursor": {"after": TIME_KEY},
}
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

SINGLE: dict[str, Action] = {
    "read conversation": partial(
        conversations.select_one, conversation_id=CONVERSATION, user_id=USER
    ),
    "read conversation with messages": partial(
        conversations.select_with_messages,
        conversation_id=CONVERSATION,
        user_id=USER,
        limit=10,
    ),
    "add conversation": lambda c: insert_conversation(c, USER),
    "change conversation": partial(
        conversations.update,
        conversation_id=CONVERSATION,
        user_id=USER,
        changes={"title": "Another"},
    ),
    "delete conversation": partial(
        conversation_deletion.delete, conversation_id=CONVERSATION, user_id=USER
    ),
    "add message": lambda c: messages.insert(c, **message(CONVERSATION, USER)),
    "add message of a run": lambda c: messages.insert(c, **message(CONVERSATION, USER, run_id=RUN)),
    "add message with an attachment": lambda c: messages.insert(
        c, **message(CONVERSATION, USER, attachment_ids=[insert_attachment(c, USER)])
    ),
    "read attachment": partial(chat_attachments.select_one, attachment_id=ATTACHMENT, user_id=USER),
    "delete attachment": lambda c: chat_attachments.delete(
        c, attachment_id=added_attachment(c), user_id=USER
    ),
    "read run": partial(runs.select_one, run_id=RUN, user_id=USER),
    "add run": lambda c: insert_run(c, USER),
    "add run in a conversation": lambda c: insert_run(c, USER, conversation_id=CONVERSATION),
    "change run": partial(runs.update, run_id=RUN, user_id=USER, changes={"error": "E"}),
    "read answer of a key": partial(idempotency_keys.select_one, user_id=USER, key="5"),
    "keep answer of a key": lambda c: idempotency_keys.insert(c, **answer(USER, id=CONVERSATION)),
    "read settings": partial(chat_settings.select_one, user_id=USER),
    "save settings": partial(chat_settings.upsert, user_id=USER, changes={"model": "m"}),
}

# The statements that foreign keys run when a referenced row is deleted.
LINKS = {
    "messages of a conversation": "DELETE FROM messages WHERE conversation_id = %(id)s",
    "runs of a conversation": (
        "UPDATE runs SET conversation_id = NULL WHERE conversation_id = %(id)s"
    ),
    "attachments of a conversation": (
        "DELETE FROM chat_attachments WHERE conversation_id = %(id)s"
    ),
    "answers about a conversation": "DELETE FROM idempotency_keys WHERE conversation_id = %(id)s",
    "messages of a run": "UPDATE messages SET run_id = NULL WHERE run_id = %(id)s",
}


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


def plan_of(action: Action, options: str = "COSTS") -> list[Node]:
    """Return the nodes of the plans of all statements that an action sends; change nothing."""
    with engine.transaction() as connection:
        with traced() as trace:
            action(connection)
        connection.execute("ROLLBACK")
    with engine.autocommit() as connection:
        return [
            node
            for message, parameters in trace
            for node in explain(connection, message, parameters, options)
        ]


def explain(
    connection: Connection, message: str, parameters: Any, options: str = "COSTS"
) -> list[Node]:
    """Return the nodes of the plans of a message's statements, without executing them."""
    # Keep the settings in front of each statement: the role affects the plan.
    settings, statements = split(message)
    plans: list[Node] = []
    for statement in statements:
        explained = f"{settings}EXPLAIN ({options}, FORMAT JSON) {statement}"
        found = value(connection, explained, parameters)
        (top,) = json.loads(found) if isinstance(found, str) else found
        plans += nodes(top["Plan"])
    return plans


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


def show(name: str, plan: list[Node]) -> None:
    sys.stdout.write(f"{name}: {json.dumps(plan[0], indent=1)}\n")


def scans(plan: list[Node]) -> bool:
    return any(node["Node Type"] == "Seq Scan" for node in plan)


def sorts(plan: list[Node]) -> bool:
    return any("Sort" in node["Node Type"] for node in plan)


def conditions(plan: list[Node]) -> list[str]:
    return [node["Index Cond"] for node in plan if "Index Cond" in node]


def rows_read(node: Node) -> float:
    rows = float(node["Actual Rows"]) + float(node.get("Rows Removed by Filter", 0))
    return rows * float(node["Actual Loops"])
