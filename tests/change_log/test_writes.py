"""Each write is an entry of the log, once, and nothing else is."""

import uuid
from typing import Any
from unittest.mock import ANY

import httpx
import pytest

from tests.calls import new_conversation, read
from tests.change_log.refused_writes import REFUSED
from tests.change_log.sending import conversation_of, run_of
from tests.change_log.writes import WRITES
from tests.contract import OPERATIONS, Rows
from tests.mirror import SETTINGS, changes_after, position
from tests.workers import Worker, claimed_run


def test_every_write_has_a_case() -> None:
    writing = {each.operation_id for each in OPERATIONS if each.method not in ("GET", "HEAD")}

    of_workers = {"claim_run", "heartbeat_run"}
    assert writing == {name.split()[0] for name in WRITES} | of_workers


def test_list_changes_has_what_a_worker_changed(alice: httpx.Client, worker: Worker) -> None:
    conversation = new_conversation(alice)
    before = position(alice)

    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    assert worker.heartbeat(claim).status_code == 200
    message = {"role": "assistant", "content": "Harbour Street."}
    assert worker.update(claim, status="succeeded", message=message).status_code == 200

    types = [each["type"] for each in changes_after(alice, before)]
    assert types == ["run.created", "run.updated", "run.updated", "message.created"]


@pytest.mark.parametrize("name", WRITES)
def test_list_changes_has_what_each_write_changed(
    alice: httpx.Client, rows: Rows, name: str
) -> None:
    write, expected = WRITES[name]
    before = position(alice)

    made = write(alice, rows)

    new = made.get("id") if isinstance(made, dict) else None
    ids: dict[str, Any] = {**rows, "new": new, "any": ANY}
    assert [
        (each["type"], each["conversation_id"], each["id"]) for each in changes_after(alice, before)
    ] == [(kind, ids.get(conversation), ids.get(own)) for kind, conversation, own in expected]


@pytest.mark.parametrize("name", REFUSED)
def test_list_changes_has_no_refused_writes(alice: httpx.Client, rows: Rows, name: str) -> None:
    status, write = REFUSED[name]
    before = position(alice)

    response = write(alice, rows)

    assert response.status_code == status, response.text
    assert position(alice) == before


def test_list_changes_has_no_reads(alice: httpx.Client, rows: Rows) -> None:
    before = position(alice)

    for path in ("/conversations", "/runs", SETTINGS, conversation_of(rows), run_of(rows)):
        read(alice, path)

    assert position(alice) == before


def test_list_changes_has_a_repeated_post_once(alice: httpx.Client, rows: Rows) -> None:
    for path, body in (
        ("/conversations", {}),
        (f"{conversation_of(rows)}/messages", {"role": "user", "content": "Hello"}),
        ("/runs", {"agent_id": "a"}),
    ):
        before, key = position(alice), {"Idempotency-Key": str(uuid.uuid4())}
        for _ in range(3):
            assert alice.post(path, json=body, headers=key).status_code == 201
        assert position(alice) == before + 1


def test_list_changes_with_if_match_has_the_write_once(alice: httpx.Client, rows: Rows) -> None:
    for path, body in ((conversation_of(rows), {"title": "t"}), (run_of(rows), {"error": "e"})):
        before, tag = position(alice), alice.get(path).headers["etag"]
        assert alice.patch(path, json=body, headers={"If-Match": tag}).status_code == 200
        assert position(alice) == before + 1
    before, tag = position(alice), alice.get(SETTINGS).headers["etag"]
    assert alice.put(SETTINGS, json={}, headers={"If-Match": tag}).status_code == 200
    assert position(alice) == before + 1
