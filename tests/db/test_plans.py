"""Over 100,000 rows, no query reads a table from end to end, and no page sorts what an index holds.

The statements are those that the queries send. Run with `-rP` to see each plan.
"""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection

import migrations
from db import chat_settings, conversations, engine, idempotency_keys, messages, runs, schema
from db.paging.row_page import SEPARATOR
from tests.db.rows import answer, insert_conversation, insert_run, message, traced

# One user has 20,000 conversations and as many runs, of which few are of the rare kinds, 800 users
# have 100 each. One conversation has 20,000 messages, 5,000 have 16 each.
ROWS = """
INSERT INTO conversations (id, title, user_id, source, agent_id, created_at, updated_at,
                           message_count, last_position, last_message_role, last_message_content,
                           last_message_at)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'A title',
       CASE WHEN n % 5 = 0 THEN 'user' ELSE 'user-' || n % 1000 END,
       CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'web' END,
       CASE WHEN n % 500 = 0 THEN 'rare' ELSE 'common' END,
       timestamptz '2026-01-01Z' - n * interval '1 minute',
       timestamptz '2026-01-01Z' - n * interval '50 seconds', count, count,
       CASE WHEN count > 0 THEN 'user'::message_role END, CASE WHEN count > 0 THEN 'Hello' END,
       CASE WHEN count > 0 THEN timestamptz '2026-01-01Z' END
FROM (SELECT n, CASE WHEN n = 0 THEN 20000 WHEN n <= 5000 THEN 16 ELSE 0 END AS count
      FROM generate_series(0, 99999) AS n) AS s;

INSERT INTO runs (id, agent_id, conversation_id, status, created_by, created_at, started_at,
                  finished_at)
SELECT ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid,
       CASE WHEN n % 500 = 0 THEN 'rare' ELSE 'common' END,
       ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       (CASE WHEN n % 1000 = 0 THEN 'running' ELSE 'succeeded' END)::run_status,
       CASE WHEN n % 5 = 0 THEN 'user' ELSE 'user-' || n % 1000 END,
       moment, moment, CASE WHEN n % 1000 <> 0 THEN moment END
FROM (SELECT n, timestamptz '2026-01-01Z' - n * interval '1 minute' AS moment
      FROM generate_series(0, 99999) AS n) AS s;

INSERT INTO messages (conversation_id, user_id, position, role, content, run_id)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(of), 12, '0'))::uuid,
       CASE WHEN of % 5 = 0 THEN 'user' ELSE 'user-' || of % 1000 END, position, 'user', 'Hello',
       CASE WHEN n % 10 = 0
       THEN ('00000000-0000-7000-9000-' || lpad(to_hex(of), 12, '0'))::uuid END
FROM (SELECT n, 0 AS of, n AS position FROM generate_series(1, 20000) AS n
      UNION ALL
      SELECT n, 1 + n % 5000, 1 + n / 5000 FROM generate_series(0, 79999) AS n) AS s;

INSERT INTO chat_settings (user_id) SELECT 'user-' || n FROM generate_series(1, 10000) AS n;

INSERT INTO idempotency_keys (user_id, key, fingerprint, status, headers, body, conversation_id,
                              expires_at)
SELECT CASE WHEN n % 5 = 0 THEN 'user' ELSE 'user-' || n % 1000 END, n, sha256(''), 201, '{}', '{}',
       ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       now() + (n - 5000) * interval '1 second'
FROM generate_series(0, 49999) AS n;
"""
USER = "user"
CONVERSATION = "00000000-0000-7000-8000-000000000000"
RUN = "00000000-0000-7000-9000-000000000000"
TIME_KEY = ["2025-12-01T00:00:00.000000Z", CONVERSATION, 60]

Action = Callable[[Connection], object]
Node = dict[str, Any]


@pytest.fixture(scope="module")
def full_url(new_database: Callable[[], str]) -> str:
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        # Without the checks of foreign keys, and with the migrations' indexes set aside meanwhile:
        # both together take longer than the rows.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'idx%'")
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        cursor.execute(ROWS)
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute("VACUUM ANALYZE")
    connection.close()
    return url


@pytest.fixture(scope="module")
def full(full_url: str) -> Iterator[None]:
    engine.configure(full_url, pool_size=2, statement_timeout_ms=10_000)
    yield
    engine.dispose()


def list_conversations(order_by: str, order: str, **given: Any) -> Action:
    arguments = {"source": None, "agent_id": None, "after": None, "offset": 0, **given}
    return partial(
        conversations.select_page,
        user_id=USER,
        limit=20,
        order_by=order_by,
        order=order,
        **arguments,
    )


def list_runs(order: str, **given: Any) -> Action:
    arguments = {
        "conversation_id": None,
        "agent_id": None,
        "status": None,
        "after": None,
        "offset": 0,
        **given,
    }
    return partial(runs.select_page, user_id=USER, limit=20, order=order, **arguments)


def list_messages(order: str, **given: Any) -> Action:
    arguments = {"after": None, "offset": 0, **given}
    return partial(
        messages.select_page,
        conversation_id=CONVERSATION,
        user_id=USER,
        limit=5,
        order=order,
        **arguments,
    )


ORDERS = ("asc", "desc")
TIMES = {"created_at": "idx_conversations_created_at", "updated_at": "idx_conversations_user_id"}
PLACES: dict[str, dict[str, Any]] = {
    "first": {},
    "offset": {"offset": 40},
    "cursor": {"after": TIME_KEY},
}
# What narrows a list, and the index for it; None where the planner may choose among several.
CONVERSATION_FILTERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "source": ({"source": "rare"}, "idx_conversations_source"),
    "agent_id": ({"agent_id": "rare"}, "idx_conversations_agent_id"),
    "both": ({"source": "rare", "agent_id": "rare"}, None),
}
RUN_FILTERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "conversation_id": ({"conversation_id": CONVERSATION}, "idx_runs_conversation_id"),
    "agent_id": ({"agent_id": "rare"}, "idx_runs_agent_id"),
    "status": ({"status": "running"}, "idx_runs_status_running"),
    "all": ({"conversation_id": CONVERSATION, "agent_id": "rare", "status": "running"}, None),
}

# The pages that an index holds in their order, with that index.
ORDERED: dict[str, tuple[Action, str]] = {
    **{
        f"conversations {time} {order} {place}": (list_conversations(time, order, **given), index)
        for (time, index), order, (place, given) in product(TIMES.items(), ORDERS, PLACES.items())
    },
    **{
        f"runs {order} {place}": (list_runs(order, **given), "idx_runs_created_by")
        for order, (place, given) in product(ORDERS, PLACES.items())
    },
    **{
        f"messages {order} {place}": (list_messages(order, **given), "idx_messages_conversation_id")
        for order, (place, given) in product(ORDERS, {**PLACES, "cursor": {"after": [10]}}.items())
    },
}

NARROWED: dict[str, tuple[Action, str | None]] = {
    **{
        f"conversations {time} {order} {name} {place}": (
            list_conversations(time, order, **narrow, **given),
            index,
        )
        for time, order, (name, (narrow, index)), (place, given) in product(
            TIMES, ORDERS, CONVERSATION_FILTERS.items(), PLACES.items()
        )
    },
    **{
        f"runs {order} {name} {place}": (list_runs(order, **narrow, **given), index)
        for order, (name, (narrow, index)), (place, given) in product(
            ORDERS, RUN_FILTERS.items(), PLACES.items()
        )
    },
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
        offset=0,
    ),
    "add conversation": lambda c: insert_conversation(c, USER),
    "change conversation": partial(
        conversations.update,
        conversation_id=CONVERSATION,
        user_id=USER,
        changes={"title": "Another"},
    ),
    "delete conversation": partial(
        conversations.delete, conversation_id=CONVERSATION, user_id=USER
    ),
    "add message": lambda c: messages.insert(c, **message(CONVERSATION, USER)),
    "add message of a run": lambda c: messages.insert(c, **message(CONVERSATION, USER, run_id=RUN)),
    "read run": partial(runs.select_one, run_id=RUN, user_id=USER),
    "add run": lambda c: insert_run(c, USER),
    "add run in a conversation": lambda c: insert_run(c, USER, conversation_id=CONVERSATION),
    "change run": partial(runs.update, run_id=RUN, user_id=USER, changes={"error": "E"}),
    "read answer of a key": partial(idempotency_keys.select_one, user_id=USER, key="5"),
    "keep answer of a key": lambda c: idempotency_keys.insert(c, **answer(USER, id=CONVERSATION)),
    "read settings": partial(chat_settings.select_one, user_id=USER),
    "save settings": partial(chat_settings.upsert, user_id=USER, changes={"model": "m"}),
}

# What PostgreSQL itself looks for when a row that others point to goes.
LINKS = {
    "messages of a conversation": "DELETE FROM messages WHERE conversation_id = %s",
    "runs of a conversation": "UPDATE runs SET conversation_id = NULL WHERE conversation_id = %s",
    "answers about a conversation": "DELETE FROM idempotency_keys WHERE conversation_id = %s",
    "messages of a run": "UPDATE messages SET run_id = NULL WHERE run_id = %s",
}


@pytest.mark.parametrize("name", ORDERED)
def test_a_page_walks_its_index(full: None, name: str) -> None:
    action, index = ORDERED[name]

    plan = plan_of(action)

    reads = [node for node in plan if node.get("Index Name") == index]
    assert not scanned(plan)
    assert not sorted_(plan)
    assert reads
    if name.endswith("cursor"):  # the index is entered at the key: no page costs more than another
        assert any(" < " in each or " > " in each for each in conditions(reads))


@pytest.mark.parametrize("name", NARROWED)
def test_a_narrowed_page_touches_few_rows(full: None, name: str) -> None:
    action, index = NARROWED[name]

    plan = plan_of(action, "ANALYZE, TIMING OFF")

    # By updated_at a narrowed list is found by the same index, and its few rows are sorted.
    assert not scanned(plan)
    assert index is None or index in {node.get("Index Name") for node in plan}
    assert max(touched(node) for node in plan) <= 500


@pytest.mark.parametrize("name", SINGLE)
def test_one_row_is_found_by_an_index(full: None, name: str) -> None:
    plan = plan_of(SINGLE[name])

    assert not scanned(plan)
    assert not sorted_(plan)


def test_a_message_is_found_by_an_index(full: None) -> None:
    with engine.autocommit() as connection:
        page = messages.select_page(
            connection,
            conversation_id=CONVERSATION,
            user_id=USER,
            limit=1,
            offset=0,
            order="asc",
            after=None,
        )

    message_id = json.loads(page.documents)["id"]

    plan = plan_of(partial(messages.select_one, message_id=message_id, user_id=USER))

    assert not scanned(plan)


@pytest.mark.parametrize("name", LINKS)
def test_what_a_deleted_row_leaves_is_found_by_an_index(full: None, name: str) -> None:
    with engine.autocommit() as connection:
        plan = explain(connection, LINKS[name], (CONVERSATION,))

    assert not scanned(plan)


def test_a_page_of_large_rows_stops_where_it_is_full(full: None) -> None:
    with engine.transaction() as connection, traced() as trace:
        made = insert_conversation(connection, USER)
        for _ in range(4):
            messages.insert(connection, **message(made, USER) | {"content": "x" * 9_000_000})
        trace.clear()
        page = messages.select_page(
            connection,
            conversation_id=made,
            user_id=USER,
            limit=4,
            offset=0,
            order="asc",
            after=None,
        )
        (_, (statement, parameters)) = trace
        plan = explain(connection, statement, parameters, "ANALYZE, TIMING OFF")
        connection.rollback()

    assert page.documents.count(SEPARATOR) == 1
    (count,) = [node for node in plan if node["Node Type"] == "WindowAgg"]
    assert "<= 4096" in count["Run Condition"]
    (built,) = [node for node in plan if node["Node Type"] == "ProjectSet"]
    assert built["Actual Rows"] < 4500, "units of 4 KiB, of which two messages have 4,396"


def plan_of(action: Action, options: str = "COSTS") -> list[Node]:
    """The nodes of the plan of the one statement that an action sends; nothing is changed by it."""
    with engine.transaction() as connection, traced() as trace:
        action(connection)
        connection.rollback()
    ((statement, parameters),) = trace
    with engine.autocommit() as connection:
        return explain(connection, statement, parameters, options)


def explain(
    connection: Connection, statement: str, parameters: Any, options: str = "COSTS"
) -> list[Node]:
    # What is set in front of the statement, the role above all, decides about its plan.
    settings, end, query = statement.rpartition(";\n")
    explained = f"{settings}{end}EXPLAIN ({options}, FORMAT JSON) {query}"
    (top,) = connection.exec_driver_sql(explained, parameters).scalar_one()
    sys.stdout.write(json.dumps(top, indent=1))
    return list(nodes(top["Plan"]))


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


def scanned(plan: list[Node]) -> list[Node]:
    return [node for node in plan if node["Node Type"] == "Seq Scan"]


def sorted_(plan: list[Node]) -> list[Node]:
    return [node for node in plan if "Sort" in node["Node Type"]]


def conditions(plan: list[Node]) -> list[str]:
    return [node["Index Cond"] for node in plan if "Index Cond" in node]


def touched(node: Node) -> float:
    rows = float(node["Actual Rows"]) + float(node.get("Rows Removed by Filter", 0))
    return rows * float(node["Actual Loops"])
