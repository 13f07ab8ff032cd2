"""Sends every statement to tables that are partitioned by their rows' owner.

A statement that reads one partition reads one shard of distributed tables. The statements must
also do nothing that partitions allow, but distributed tables do not.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest

from db import engine, errors, live, sweeps
from db.change_log import change_positions
from db.execution import expiry, waiting_runs
from db.search import backlog
from tests import distributed
from tests.db.partitioned import PARTITIONS, create_partitioned
from tests.db.partitions.module_statements import builders, names
from tests.db.partitions.queries import LIMIT, MORE_QUERIES
from tests.db.partitions.refusals import refusal_of
from tests.db.plans.filtered_lists import FILTERED
from tests.db.plans.lists import MERGED, ORDERED
from tests.db.queries.queries import QUERIES
from tests.db.queries.refused import REFUSED
from tests.db.rows import (
    ABSENT_ID,
    TRACED,
    insert_conversation,
    insert_run,
    split,
    traced,
    value,
)

Sent = dict[str, tuple[str, Any]]
"""The settings and parameters of each statement."""

# The only statements that read all partitions. docs/operations/scale-out.md says what they cost.
READ_ALL_PARTITIONS = {
    "execution.run_queue._select_agents": "finds the oldest runs of several agents",
    "execution.run_leases._select_expired": "looks for workers of all users that have stopped",
    "publishing.links._select_expired": "looks for links of all users that have expired",
    "access._FIND": "finds the owner of an id, and decides between 403 and 404",
    "rate_limits._delete_full": "sweeps the buckets of all users",
    "live._select_values": "finds what has changed, for the streams and claims of a process",
    "live._select_values_of_owners": "finds it for one node, while another one is away",
    "execution.transient_events._select_due": "finds the ended runs of all users",
    "change_log.change_positions._select_old": "sweeps the changes of all users",
    "execution.waiting_runs._select_waiting": "looks for runs of all users that wait in vain",
    "search.backlog._select_behind": "looks for messages of all users that search does not find",
    "idempotency_keys._delete_expired": "sweeps the stored responses of all users",
}


@pytest.fixture(scope="module")
def partitioned(database_url: str, new_database: Callable[[], str]) -> Iterator[None]:
    """Configure the engine for a database with partitioned tables. `database_url` has the roles.

    With TEST_DISTRIBUTED=1 the tables of `database_url` are distributed.
    """
    if distributed.ENABLED:
        engine.configure(database_url, pool_size=4, statement_timeout_ms=10_000, hooks=TRACED)
        yield
        engine.dispose()
        return
    url = new_database()
    create_partitioned(url)
    engine.configure(url, pool_size=4, statement_timeout_ms=10_000, hooks=TRACED)
    yield
    engine.dispose()


@pytest.fixture(scope="module")
def sent(partitioned: None) -> Sent:
    """Send all statements, and return them with their settings and parameters."""
    absent = dict.fromkeys(("conversation", "run", "message", "attachment"), ABSENT_ID)
    with traced() as trace:
        with engine.autocommit() as connection:
            for number, query in enumerate(chain(QUERIES.values(), MORE_QUERIES.values())):
                user = f"user {number}"
                ids = insert_conversation(connection, user), insert_run(connection, user)
                with suppress(errors.Conflict):
                    query(connection, user, *ids)
            for _, refused in REFUSED.values():
                with suppress(errors.Missing):
                    refused(connection, "user", absent)
            pages = [action for action, _ in chain(ORDERED.values(), FILTERED.values())]
            for action in (*pages, *MERGED.values()):
                with suppress(errors.Missing):
                    action(connection)
        kept = sweeps.Retention(transient_events=timedelta(0), changes=timedelta(days=30))
        sweeps.run(limit=LIMIT, kept=kept)
        expiry.run()
        waiting_runs.run()
        backlog.run()
        topics = [
            topic
            for user in (f"user {number}" for number in range(20))
            for topic in (("run", ABSENT_ID, user), ("changes", user), ("queue", user))
        ]
        live.select_values(topics)
        live._read(live._select_values_of_owners, topics)
        soon = datetime.now(UTC) + timedelta(days=1)
        with engine.transaction() as connection:
            change_positions.delete_old(connection, user_id="user 0", before=soon, most=9)
    found: Sent = {}
    for sql, parameters in trace:
        if "acting_user" in (parameters or ()):  # BEGIN and the like have no user
            settings, statements = split(sql)
            found |= dict.fromkeys(statements, (settings, parameters))
    return found


def test_queries_send_every_statement(sent: Sent) -> None:
    not_sent = {name for sql, name in names().items() if sql not in sent}
    not_built = {name for name, build in builders().items() if not build.cache_info().currsize}

    assert not_sent == not_built == set()


def test_statements_read_one_partition(sent: Sent) -> None:
    exceptions = {sql for sql, name in names().items() if name in READ_ALL_PARTITIONS}

    read = {sql: partitions_of(sent, sql) for sql in sent.keys() - exceptions}

    assert {sql: numbers for sql, numbers in read.items() if len(numbers) > 1} == {}


def test_exceptions_read_all_partitions(sent: Sent) -> None:
    exceptions = {sql: name for sql, name in names().items() if name in READ_ALL_PARTITIONS}

    few = {name for sql, name in exceptions.items() if len(partitions_of(sent, sql)) < PARTITIONS}

    assert set(exceptions.values()) == READ_ALL_PARTITIONS.keys()
    # EXPLAIN cannot look into a function, and there are only two agents.
    assert few == {"idempotency_keys._delete_expired", "execution.run_queue._select_agents"}


def test_statements_use_nothing_that_distributed_tables_refuse(sent: Sent) -> None:
    found = {sql: problem for sql in sent if (problem := refusal_of(sql)) is not None}

    assert found == {}


def partitions_of(sent: Sent, sql: str) -> set[str]:
    """Return the numbers of the partitions, or of the tasks of Citus, of a statement."""
    settings, parameters = sent[sql]
    with engine.autocommit() as connection:
        explain = f"{settings}EXPLAIN (FORMAT JSON) {sql}"
        plan = json.loads(value(connection, explain, parameters))
    tasks = sum(values_in(plan, "Task Count"))
    if tasks:
        return {str(number) for number in range(tasks)}
    return set(re.findall(r"[a-z]_(\d)\b", " ".join(values_in(plan, "Relation Name"))))


def values_in(plan: Any, name: str) -> Iterator[Any]:
    """Yield a property of all nodes of a plan."""
    if isinstance(plan, dict):
        if name in plan:
            yield plan[name]
        plan = list(plan.values())
    if isinstance(plan, list):
        for each in plan:
            yield from values_in(each, name)
