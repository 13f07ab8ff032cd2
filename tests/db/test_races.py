"""Tests of concurrent writers: nothing is lost or counted twice, and late writers get an error."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from db import chat_settings, engine, errors, runs
from db.attachments import chat_attachments
from db.conversations import conversation_deletion, conversations
from db.engine import Connection, bridge
from db.messages import messages
from db.paging.page import Page
from tests.db.rows import insert_attachment, insert_run, message, value
from tests.db.waiting import at_once

WRITERS = 32
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE %(pid)s = ANY (pg_blocking_pids(pid))"


@pytest.mark.parametrize("linked", [False, True])
def test_many_writers_lose_nothing_and_follow_one_order(
    connection: Connection, user: str, conversation_id: str, run_id: str, linked: bool
) -> None:
    def write(writer: int) -> list[str]:
        contents = [f"{writer}.{number}" for number in range(10)]
        for content in contents:
            with engine.autocommit() as own:
                messages.insert(
                    own,
                    **message(
                        conversation_id,
                        user,
                        content=content,
                        title=content,
                        run_id=run_id if linked else None,
                    ),
                )
        return contents

    written = [content for contents in by_many(write) for content in contents]

    page = read_messages(connection, conversation_id, user)
    found = json.loads(
        conversations.select_one(connection, conversation_id=conversation_id, user_id=user)
    )
    items = json.loads(page.documents)
    contents = [item["content"] for item in items]
    times = [item["created_at"] for item in items]
    assert sorted(contents) == sorted(written)
    assert page.total == found["message_count"] == len(written)
    assert times == sorted(times)
    assert found["updated_at"] == found["last_message"]["created_at"] == times[-1]
    assert found["last_message"]["content"] == contents[-1]
    assert found["title"] == contents[0]
    for writer in range(WRITERS):  # each writer's messages keep their order
        own = [content for content in contents if content.startswith(f"{writer}.")]
        assert own == [f"{writer}.{number}" for number in range(10)]


def test_insert_during_a_delete_raises_missing_or_reference(
    connection: Connection, user: str, conversation_id: str
) -> None:
    def act(number: int) -> type[Exception] | None:
        try:
            with engine.autocommit() as own:
                if number == WRITERS // 2:
                    conversation_deletion.delete(own, conversation_id=conversation_id, user_id=user)
                else:
                    messages.insert(own, **message(conversation_id, user))
                    insert_run(own, user, conversation_id=conversation_id)
        except errors.Failure as error:
            return type(error)
        return None

    outcomes = set(by_many(act))

    assert outcomes <= {None, errors.Missing, errors.Reference}
    with pytest.raises(errors.Missing):
        read_messages(connection, conversation_id, user)


def test_concurrent_first_saves_of_settings_are_merged(connection: Connection, user: str) -> None:
    changes: list[dict[str, Any]] = [
        {"model": "m"},
        {"max_tokens": 5},
        {"temperature": 1.5},
        {"enabled_tools": ["t"]},
    ]

    def save(number: int) -> dict[str, Any]:
        with engine.autocommit() as own:
            change = changes[number % len(changes)]
            return dict(json.loads(chat_settings.upsert(own, user_id=user, changes=change)))

    saved = by_many(save)

    final = json.loads(chat_settings.select_one(connection, user_id=user))
    assert {row["id"] for row in saved} == {final["id"]}
    assert {name: final[name] for change in changes for name in change} == {
        name: value for change in changes for name, value in change.items()
    }


def test_only_one_of_many_concurrent_status_changes_succeeds(
    connection: Connection, user: str, run_id: str
) -> None:
    runs.update(connection, run_id=run_id, user_id=user, changes={"status": "running"})

    def end(number: int) -> str | None:
        try:
            with engine.autocommit() as own:
                status = runs.ENDED[number % len(runs.ENDED)]
                changes = {"status": status}
                ended = json.loads(runs.update(own, run_id=run_id, user_id=user, changes=changes))
        except errors.Conflict:
            return None
        return f"{ended['status']} at {ended['finished_at']}"

    outcomes = set(by_many(end)) - {None}

    assert len(outcomes) == 1


@pytest.mark.parametrize("conversation_too", [False, True])
def test_attachment_that_a_message_gets_during_its_deletion_disappears_from_it(
    connection: Connection, user: str, conversation_id: str, conversation_too: bool
) -> None:
    attachment_id = insert_attachment(connection, user)
    linked = asyncio.Event()

    def link() -> None:
        with engine.transaction() as own:
            messages.insert(own, **message(conversation_id, user, attachment_ids=[attachment_id]))
            linked.set()
            while not value(connection, WAITING, {"pid": own.backend_pid}):
                bridge.wait(asyncio.sleep(0.01))

    def delete() -> None:
        bridge.wait(linked.wait())
        with engine.transaction() as own:
            if conversation_too:
                conversation_deletion.delete(own, conversation_id=conversation_id, user_id=user)
            else:
                chat_attachments.delete(own, attachment_id=attachment_id, user_id=user)

    at_once([link, delete])

    with pytest.raises(errors.Missing):
        chat_attachments.select_one(connection, attachment_id=attachment_id, user_id=user)
    if not conversation_too:
        (stored,) = json.loads(read_messages(connection, conversation_id, user).documents)
        assert stored["chat_attachments"] == []


def by_many(act: Callable[[int], Any]) -> list[Any]:
    """Run all writers concurrently and return their results."""
    return at_once([partial(act, number) for number in range(WRITERS)])


def read_messages(connection: Connection, conversation_id: str, user: str) -> Page:
    return messages.select_page(
        connection, conversation_id=conversation_id, user_id=user, limit=1000
    )
