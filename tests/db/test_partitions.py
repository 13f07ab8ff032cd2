"""Checks that every statement fits tables that are distributed by user, without Citus.

The tables are partitioned by their rows' owner. A statement that reads one partition reads one
shard. The rest of the tests look for what partitions allow, but distributed tables do not.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest
import sqlalchemy as sa

from db import (
    access,
    chat_settings,
    engine,
    errors,
    feedback,
    idempotency_keys,
    live,
    rate_limits,
    runs,
    sweeps,
)
from db.attachments import attachment_links, chat_attachments
from db.branches import (
    activation,
    agents_left,
    copies,
    deletion,
    forks,
    members,
    pages,
    paths,
    posting,
)
from db.branches import rows as places_of_messages
from db.change_log import change_positions, changes
from db.conversations import conversation_deletion, conversation_lists, conversations
from db.engine import Connection, MemberGrant, acting_under
from db.engine.statement import Statement
from db.execution import (
    busy,
    cancellation,
    claims,
    expiry,
    lease_text,
    run_events,
    run_leases,
    run_queue,
    transient_events,
    turns,
    waiting_runs,
)
from db.messages import message_edits, message_insertion, message_versions, messages
from db.models import OWNERS, Base
from db.models import conversations as conversations_table
from db.organising import bulk, own_view
from db.organising import reading as marking
from db.publishing import links, published, snapshots
from db.rate_limits import Limit
from db.search import backlog, index, messages_found, query, ranking, search
from db.sharing import list_documents, lists, memberships, shared_objects, shares, telling
from tests import distributed
from tests.db.partitioned import PARTITIONS, create_partitioned
from tests.db.rows import (
    TRACED,
    insert_attachment,
    insert_conversation,
    insert_message,
    insert_run,
    link,
    message,
    split,
    traced,
    value,
)
from tests.db.test_plans import FILTERED, MERGED, ORDERED
from tests.db.test_statements import QUERIES, REFUSED

Sent = dict[str, tuple[str, Any]]
"""The settings and parameters of each statement."""

LIMIT = Limit(10, 1.0)
NOBODY = dict.fromkeys(("conversation", "run", "message", "attachment"), str(uuid.UUID(int=0)))
MODULES = (
    *(
        access,
        activation,
        agents_left,
        attachment_links,
        backlog,
        bulk,
        busy,
        cancellation,
        change_positions,
    ),
    *(changes, copies, deletion, forks, members, pages, paths, places_of_messages, posting),
    *(chat_attachments, chat_settings, claims, conversation_deletion, conversation_lists),
    *(conversations, expiry, feedback, idempotency_keys, links, list_documents, lists, live),
    *(marking, memberships, message_edits, message_insertion, message_versions, messages),
    *(index, messages_found, own_view, published, ranking, rate_limits, search, snapshots),
    *(run_events, run_leases, run_queue, runs, shared_objects, shares, telling),
    *(transient_events, turns, waiting_runs),
)

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

# Where distributed tables allow only functions that read neither settings nor the time.
RESTRICTED = re.compile(
    r"RETURNING .*|DO UPDATE SET .*|CASE .*? END"
    r"|coalesce\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)",
    re.DOTALL,
)
# The result depends on the time zone, except without one.
INTERVAL = re.compile(r"\b\w+\.\w+ [-+] (interval\b|CAST\([^()]* AS INTERVAL|%\(\w+\)s::INTERVAL)")
FUNCTION = re.compile(r"\b(?:[a-z]\w*(?=\()|CURRENT_\w+|LOCALTIME\w*)")
OWNER = re.compile(r"\b((user_id|created_by) = %\(acting_user|agent_id = %\(of_agent)\)s")
IMMUTABLE = {"greatest", "least", "coalesce", "timezone", "lower"}

MORE: dict[str, Callable[[Connection, str, str, str], object]] = {
    "locked conversation": lambda c, u, t, r: conversations.lock(c, conversation_id=t, user_id=u),
    "deleted conversations of a filter": lambda c, u, t, r: bulk.update(
        c,
        user_id=u,
        action="delete",
        given_tags=[],
        given={"archived": False, "pinned": False, "tag": "t", "source": "s", "agent_id": "a"},
    ),
    "locked run": lambda c, u, t, r: runs.lock(c, run_id=r, user_id=u),
    "new settings, locked twice": lambda c, u, t, r: [
        chat_settings.lock(c, user_id=u) for _ in range(2)
    ],
    "conflict": lambda c, u, t, r: runs.update(
        c, run_id=r, user_id=u, changes={"status": "succeeded"}
    ),
    "ended run with a transient event": lambda c, u, t, r: [
        run_events.insert(
            c, run_id=r, user_id=u, events=[{"type": "a", "data": {}, "transient": True}]
        ),
        runs.update(c, run_id=r, user_id=u, changes={"status": "failed"}),
    ],
    "ended run": lambda c, u, t, r: runs.update(
        c, run_id=r, user_id=u, changes={"status": "failed"}
    ),
    "message": lambda c, u, t, r: messages.select_one(
        c, message_id=insert_message(c, t, u), user_id=u
    ),
    "later versions of a message": lambda c, u, t, r: _edit_message(c, u, t),
    "attachment": lambda c, u, t, r: chat_attachments.select_one(
        c, attachment_id=insert_attachment(c, u), user_id=u
    ),
    "links": lambda c, u, t, r: _publish(c, u, t),
    "feedback": lambda c, u, t, r: _rate(c, u, insert_message(c, t, u)),
    "attachments of a message": lambda c, u, t, r: _add_attachments(c, u, t),
    "conversations after the last": lambda c, u, t, r: conversation_lists.select_page(
        c, user_id=u, limit=1, offset=9
    ),
    "changes of a message, a run, an attachment and settings": lambda c, u, t, r: [
        insert_attachment(c, u),
        messages.insert(c, **message(t, u)),
        chat_settings.upsert(c, user_id=u, changes={}),
        changes.select_page(c, user_id=u, after=0, limit=9, tag=bytes.decode),
    ],
    "runs after each other": lambda c, u, t, r: _run_one_after_another(c, u, t),
    "claimed run": lambda c, u, t, r: _leased(c, u, insert_run(c, u, agent_id="b"), seconds=9),
    "expired lease": lambda c, u, t, r: _expired(c, u, r),
    "cancelled runs": lambda c, u, t, r: [
        cancellation.cancel(c, run_id=run, user_id=u)
        for run in (r, insert_run(c, u, status="running"))
    ],
    "lists and log of a member": lambda c, u, t, r: _tell_member(c, u, t),
    "shared conversation": lambda c, u, t, r: _share(c, u, t),
    "own conversation or membership": lambda c, u, t, r: conversations._select_one.row(
        c, {"this_id": t, "acting_user": u}
    ),
    "search": lambda c, u, t, r: _search(c, u, t),
    "branches": lambda c, u, t, r: _branch(c, u, t),
    "token": lambda c, u, t, r: rate_limits.take(c, user_id=u, limit=LIMIT),
}


def _edit_message(connection: Connection, user: str, conversation_id: str) -> None:
    message_id = insert_message(connection, conversation_id, user)
    this: dict[str, Any] = {"message_id": message_id, "user_id": user}
    for name, new in (("content", "C"), ("metadata", {})):
        message_edits.update(connection, **this, changes={name: new})
    message_versions.select_page(connection, **this, limit=2, after=[1])


def _add_attachments(connection: Connection, user: str, conversation_id: str) -> None:
    """Give an attachment to one message, in vain to another, and delete it."""
    attachment_id = insert_attachment(connection, user)
    new = message(conversation_id, user, attachment_ids=[attachment_id])
    messages.insert(connection, **new)
    with suppress(errors.Invalid):
        messages.insert(connection, **new)
    chat_attachments.delete(connection, attachment_id=attachment_id, user_id=user)


def _rate(connection: Connection, user: str, message_id: str) -> None:
    this = {"message_id": message_id, "user_id": user, "caller_id": user}
    feedback.upsert(connection, **this, feedback={"rating": "up", "tags": [], "comment": None})
    feedback.delete(connection, **this)


def _publish(connection: Connection, user: str, conversation_id: str) -> None:
    """Create links, one of which has expired, read one and delete one."""
    this: dict[str, Any] = {"conversation_id": conversation_id, "user_id": user}
    insert_message(connection, conversation_id, user)
    made = [
        json.loads(links.insert(connection, **this, **link(f"{user} {number}", expires_at)))
        for number, expires_at in enumerate((None, "2020-01-01Z"))
    ]
    published.select_one(connection, secret_hash=link(f"{user} 0")["secret_hash"])
    links.select_page(connection, **this)
    links.delete(connection, **this, link_id=made[0]["id"])
    with suppress(errors.Missing):
        links.delete(connection, **this, link_id=made[0]["id"])


def _branch(connection: Connection, user: str, conversation_id: str) -> None:
    """Start branches, switch between them, copy one, and delete a message."""
    this: dict[str, Any] = {"conversation_id": conversation_id, "user_id": user}
    new = message(conversation_id, user)
    with engine.transaction() as transaction:
        shares.upsert(transaction, **this, member_id="m", role="editor")
        first, _ = messages.insert(transaction, **new)
        decision = {"selected_agents": ["a"]}
        second, _ = messages.insert(transaction, **new, routing_decision=decision)
        other, _ = messages.insert(transaction, **new, sibling_of=second)
        messages.insert(transaction, **new, parent_id=first)
        for message_id in (second, second, other):
            activation.activate(transaction, **this, message_id=message_id)
        for up_to in (None, second):
            forks.insert(transaction, **this, up_to=up_to)
        deletion.lock(transaction, message_id=second, user_id=user)
        deletion.delete(transaction, message_id=second, user_id=user)
    for order in ("asc", "desc"):
        messages.select_page(connection, **this, limit=1, order=order, all_branches=True)
    for start in ({"offset": 1}, {"after": [1]}):
        messages.select_page(connection, **this, limit=1, **start)
    conversations.select_with_messages(connection, **this, limit=1, offset=1)
    # Old servers store messages without a parent.
    old = "UPDATE messages SET parent_id = NULL, sibling_count = NULL WHERE id = %(id)s"
    connection.execute(old, {"id": other}).close()
    messages.select_one(connection, message_id=other, user_id=user)
    grant = MemberGrant(user, conversation_id, "m", "editor", access.BRANCH)
    with acting_under(grant), engine.transaction() as transaction:
        activation.activate(transaction, **this, message_id=first)
        messages.insert(transaction, **new, parent_id=first)
    with engine.transaction() as transaction:
        forks.insert(transaction, conversation_id=conversation_id, user_id="m")


def _run_one_after_another(connection: Connection, user: str, conversation_id: str) -> None:
    """Let runs wait for each other, replace them, and delete the conversation of the last."""
    first, _ = [_new_run(connection, user, conversation_id, "queue") for _ in range(2)]
    runs.update(connection, run_id=first, user_id=user, changes={"status": "cancelled"})
    _new_run(connection, user, conversation_id, "replace")
    _new_run(connection, user, conversation_id, "queue")
    conversation_deletion.delete(connection, conversation_id=conversation_id, user_id=user)


def _new_run(connection: Connection, user: str, conversation_id: str, if_busy: str) -> str:
    new: dict[str, Any] = {
        "user_id": user,
        "conversation_id": conversation_id,
        "status": "pending",
    }
    waits = busy.apply_policy(connection, if_busy=if_busy, **new)
    run_id, _ = runs.insert(connection, **new, agent_id="a", waits=waits)
    return run_id


def _share(connection: Connection, user: str, conversation_id: str) -> None:
    """Share a conversation, read it and post to it as a member, and leave it."""
    this: dict[str, Any] = {"conversation_id": conversation_id, "user_id": user}
    for role in ("viewer", "editor"):
        shares.upsert(connection, **this, member_id="m", role=role)
    shares.select_page(connection, **this)
    grant = MemberGrant(user, conversation_id, "m", "editor", access.READ)
    routed = message(conversation_id, user, routing_decision={"selected_agents": ["a"]})
    messages.insert(connection, **routed)
    with acting_under(grant):
        marking.update(connection, **this)
        for changed in ({"tags": ["t"]}, {"pinned": True}):
            conversations.update(connection, **this, changes=changed)
        with engine.transaction() as transaction:
            conversations.lock(transaction, **this)
    with acting_under(grant):
        conversations.select_one(connection, **this)
        messages.select_page(connection, **this, limit=1)
    with acting_under(grant._replace(purpose=access.WRITE)):
        message_id = insert_message(connection, conversation_id, user)
        message_edits.update(
            connection, message_id=message_id, user_id=user, changes={"content": "C"}
        )
    with acting_under(grant._replace(purpose=access.LEAVE)), engine.transaction() as transaction:
        shares.delete(transaction, **this, member_id="m", leaves=True)


def _tell_member(connection: Connection, user: str, conversation_id: str) -> None:
    """Do what members are told, and read their lists and their log."""
    this: dict[str, Any] = {"conversation_id": conversation_id, "user_id": user}
    member = f"member of {user}"
    shares.upsert(connection, **this, member_id=member, role="viewer")
    messages.insert(connection, **message(conversation_id, user))
    _add_attachments(connection, user, conversation_id)
    conversations.update(connection, **this, changes={"title": "T"})
    run_id = insert_run(connection, user, conversation_id=conversation_id)
    runs.update(connection, run_id=run_id, user_id=user, changes={"error": "E"})
    runs.update(connection, run_id=run_id, user_id=user, changes={"status": "running"})
    insert_conversation(connection, member)
    for given in ({}, {"shared": True}, {"shared": False}, {"offset": 9}):
        conversation_lists.select_page(connection, user_id=member, limit=9, **given)
    changes.select_page(connection, user_id=member, after=0, limit=9, tag=bytes.decode)
    conversation_deletion.delete(connection, **this)


def _search(connection: Connection, user: str, conversation_id: str) -> None:
    """Search in own and shared conversations, with and without all filters, and index messages."""
    this = {"conversation_id": conversation_id, "user_id": user}
    message_id = insert_message(connection, conversation_id, user)
    index.update(connection, **this, message_id=message_id, content="Hello again")
    shares.upsert(connection, **this, member_id=f"member of {user}", role="viewer")
    words: dict[str, Any] = {"query": query.parse("hello"), "limit": 1}
    filters: dict[str, Any] = {
        "conversation_id": conversation_id,
        "role": "user",
        "created_after": "2000-01-01T00:00:00+00:00",
        "created_before": "9999-01-01T00:00:00+00:00",
        "source": "s",
        "agent_id": "a",
    }
    after = [0.5, "2026-03-02T09:14:03.412907Z", message_id]
    for reader in (user, f"member of {user}"):
        search.select_page(connection, user_id=reader, **words)
        for archived in (True, False):
            given = filters | {"archived": archived, "after": after}
            search.select_page(connection, user_id=reader, **words, **given)
    index.delete(connection, **this, message_id=message_id)
    with engine.transaction() as transaction:
        _move_back(transaction, user, conversation_id)
        backlog.index_some(transaction, **this)


def _move_back(connection: Connection, user: str, conversation_id: str) -> None:
    """Let a conversation have messages that are not indexed."""
    c = conversations_table.c
    where = [c.id == conversation_id, c.user_id == user]
    update = sa.update(conversations_table).where(*where).values(indexed_position=0)
    Statement(update).rowcount(connection, {"acting_user": user})


def _expired(connection: Connection, user: str, run_id: str) -> str:
    _leased(connection, user, run_id, seconds=-9)
    run_leases.postpone(connection, run_id=NOBODY["run"], user_id=user)
    expiry.expire(connection, run_id=run_id, user_id=user)
    return run_id


def _leased(connection: Connection, user: str, run_id: str, *, seconds: int) -> str:
    """Claim runs until it was this one's turn, and use its lease."""
    while claims.claim(agent_ids=["a", "b"], worker="w", seconds=9) is not None:
        pass
    lease = lease_text.issue(run_id=run_id, conversation_id=None, user_id=user, seconds=9)
    lease = replace(lease, seconds=seconds)
    run_leases.insert(connection, lease=lease, worker="w")
    run_leases.select_worker(connection, lease=lease)
    for with_conversation in (True, False):
        run_leases.lock(connection, lease=lease, with_conversation=with_conversation)
    if seconds > 0:
        run_leases.extend(connection, run_id=run_id, user_id=user, seconds=seconds)
    return run_id


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
    engine.configure(url, pool_size=4, statement_timeout_ms=10_000, prepare=False, hooks=TRACED)
    yield
    engine.dispose()


@pytest.fixture(scope="module")
def sent(partitioned: None) -> Sent:
    """Send all statements, and return them with their settings and parameters."""
    with traced() as trace:
        with engine.autocommit() as connection:
            for number, query in enumerate(chain(QUERIES.values(), MORE.values())):
                user = f"user {number}"
                ids = insert_conversation(connection, user), insert_run(connection, user)
                with suppress(errors.Conflict):
                    query(connection, user, *ids)
            for _, refused in REFUSED.values():
                with suppress(errors.Missing):
                    refused(connection, "user", NOBODY)
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
            for topic in (("run", NOBODY["run"], user), ("changes", user), ("queue", user))
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


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("WITH m AS (INSERT INTO a VALUES (1) RETURNING 1) SELECT * FROM m", "INSERT in a CTE"),
        ("INSERT INTO a VALUES (1, (SELECT 2))", "a subquery in VALUES"),
        ("SELECT 1 FROM a WHERE id = %(id)s FOR NO KEY UPDATE", "a lock without the owner"),
        ("UPDATE a SET b = 1 RETURNING json_build_object('b', b)", "json_build_object"),
        ("UPDATE a SET b = CASE WHEN c THEN lower(now()) END", "now"),
        ("UPDATE a SET b = coalesce(b, greatest(random(), 1))", "random"),
        ("INSERT INTO a VALUES (1) ON CONFLICT (b) DO UPDATE SET b = CURRENT_DATE", "CURRENT_DATE"),
        ("UPDATE a SET b = greatest(now(), a.b + interval '1 s')", "an interval added to a column"),
        ("UPDATE a SET b = timezone('UTC', a.b) + interval '1 s'", None),
        ("UPDATE a SET b = now() WHERE user_id = 'u' RETURNING greatest(b)", None),
    ],
)
def test_refused_parts_are_found(sql: str, problem: str | None) -> None:
    assert refusal_of(sql) == problem


def test_keys_include_the_owner() -> None:
    wrong = []
    for table in Base.metadata.sorted_tables:
        owner = OWNERS[table.name]
        unique: list[Any] = [table.primary_key, *(each for each in table.indexes if each.unique)]
        unique += [each for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
        wrong += [each.name for each in unique if owner.name not in each.columns]
        for key in table.foreign_key_constraints:
            pairs = {element.parent: element.column for element in key.elements}
            if pairs.get(owner) is not OWNERS[key.referred_table.name]:
                wrong.append(key.name)

    assert wrong == []


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


def refusal_of(sql: str) -> str | None:
    """Return what distributed tables refuse in a statement, or None."""
    if re.search(r"\bAS (MATERIALIZED )?\(\s*INSERT", sql):
        return "INSERT in a CTE"
    if re.search(r"\bVALUES \(.*\bSELECT\b", sql, re.DOTALL):
        return "a subquery in VALUES"
    is_locking = re.search(r"\bFOR (NO KEY )?UPDATE\b|\bFOR (KEY )?SHARE\b", sql)
    if is_locking and not OWNER.search(sql):
        return "a lock without the owner"
    if sql.startswith(("SELECT", "WITH RECURSIVE")):
        return None
    if sql.startswith("UPDATE") and INTERVAL.search(sql):
        return "an interval added to a column"
    for part in RESTRICTED.findall(sql):
        for name in FUNCTION.findall(part):
            if name not in IMMUTABLE:
                return str(name)
    return None


def names() -> dict[str, str]:
    """Return the name of each statement that a module of the database layer holds."""
    return {
        sql: f"{module.__name__.removeprefix('db.')}.{name}"
        for module in MODULES
        for name, value in vars(module).items()
        for statement in statements_in(value)
        for sql in statement.sql
    }


def builders() -> dict[str, Any]:
    """Return the functions that build statements for given filters or columns."""
    return {
        f"{module.__name__}.{name}": value
        for module in MODULES
        for name, value in vars(module).items()
        if hasattr(value, "cache_info")
    }


def statements_in(value: Any) -> Iterator[Statement]:
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, dict):
        yield from (each for each in value.values() if isinstance(each, Statement))
    elif type(value).__module__.startswith("db.paging"):
        yield from statements_in(vars(value))
