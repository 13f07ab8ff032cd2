"""Queries that send the statements that those of tests/db/queries do not send."""

from collections.abc import Callable

from db import chat_settings, rate_limits, runs
from db.attachments import chat_attachments
from db.change_log import changes
from db.conversations import conversation_lists, conversations
from db.engine import Connection
from db.execution import cancellation, run_events
from db.messages import messages
from db.organising import bulk
from db.rate_limits import Limit
from tests.db.partitions.branch_queries import branch
from tests.db.partitions.message_queries import add_attachments, edit_message, rate
from tests.db.partitions.run_queries import expire_run, run_one_after_another, use_lease
from tests.db.partitions.search_queries import search_everywhere
from tests.db.partitions.sharing_queries import publish, share, tell_member
from tests.db.rows import insert_attachment, insert_message, insert_run, message

LIMIT = Limit(10, 1.0)

MORE_QUERIES: dict[str, Callable[[Connection, str, str, str], object]] = {
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
    "later versions of a message": lambda c, u, t, r: edit_message(c, u, t),
    "attachment": lambda c, u, t, r: chat_attachments.select_one(
        c, attachment_id=insert_attachment(c, u), user_id=u
    ),
    "links": lambda c, u, t, r: publish(c, u, t),
    "feedback": lambda c, u, t, r: rate(c, u, insert_message(c, t, u)),
    "attachments of a message": lambda c, u, t, r: add_attachments(c, u, t),
    "conversations after the last": lambda c, u, t, r: conversation_lists.select_page(
        c, user_id=u, limit=1, offset=9
    ),
    "changes of a message, a run, an attachment and settings": lambda c, u, t, r: [
        insert_attachment(c, u),
        messages.insert(c, **message(t, u)),
        chat_settings.upsert(c, user_id=u, changes={}),
        changes.select_page(c, user_id=u, after=0, limit=9, tag=bytes.decode),
    ],
    "runs after each other": lambda c, u, t, r: run_one_after_another(c, u, t),
    "claimed run": lambda c, u, t, r: use_lease(c, u, insert_run(c, u, agent_id="b"), seconds=9),
    "expired lease": lambda c, u, t, r: expire_run(c, u, r),
    "cancelled runs": lambda c, u, t, r: [
        cancellation.cancel(c, run_id=run, user_id=u)
        for run in (r, insert_run(c, u, status="running"))
    ],
    "lists and log of a member": lambda c, u, t, r: tell_member(c, u, t),
    "shared conversation": lambda c, u, t, r: share(c, u, t),
    "own conversation or membership": lambda c, u, t, r: conversations._select_one.row(
        c, {"this_id": t, "acting_user": u}
    ),
    "search": lambda c, u, t, r: search_everywhere(c, u, t),
    "branches": lambda c, u, t, r: branch(c, u, t),
    "token": lambda c, u, t, r: rate_limits.take(c, user_id=u, limit=LIMIT),
}
