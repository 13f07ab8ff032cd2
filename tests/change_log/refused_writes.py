"""Writes that are refused, and their status."""

import uuid
from collections.abc import Callable

import httpx

from tests.calls import read
from tests.change_log.sending import conversation_of, message_of, run_of, share
from tests.contract import Rows
from tests.mirror import SETTINGS

OLD = {"If-Match": '"old"'}

REFUSED: dict[str, tuple[int, Callable[[httpx.Client, Rows], httpx.Response]]] = {
    "another status": (
        409,
        lambda client, rows: client.patch(run_of(rows), json={"status": "succeeded"}),
    ),
    "run with another tag": (
        412,
        lambda client, rows: client.patch(run_of(rows), json={"error": "e"}, headers=OLD),
    ),
    "conversation with another tag": (
        412,
        lambda client, rows: client.patch(conversation_of(rows), json={"title": "t"}, headers=OLD),
    ),
    "message with another tag": (
        412,
        lambda client, rows: client.patch(message_of(rows), json={"content": "c"}, headers=OLD),
    ),
    "deletion with another tag": (
        412,
        lambda client, rows: client.delete(conversation_of(rows), headers=OLD),
    ),
    "settings with another tag": (
        412,
        lambda client, rows: client.put(SETTINGS, json={"model": "m"}, headers=OLD),
    ),
    "message of no run": (
        422,
        lambda client, rows: client.post(
            f"{conversation_of(rows)}/messages",
            json={"role": "user", "content": "Hello", "run_id": str(uuid.uuid4())},
        ),
    ),
    "reading a message of another conversation": (
        422,
        lambda client, rows: client.put(
            f"{conversation_of(rows)}/read", json={"message_id": str(uuid.uuid4())}
        ),
    ),
    "reading no conversation": (
        404,
        lambda client, rows: client.put(f"/conversations/{uuid.uuid4()}/read", json={}),
    ),
    "message of no conversation": (
        404,
        lambda client, rows: client.post(
            f"/conversations/{uuid.uuid4()}/messages", json={"role": "user", "content": "Hello"}
        ),
    ),
    "run of no conversation": (
        422,
        lambda client, rows: client.post(
            "/runs", json={"agent_id": "a", "conversation_id": str(uuid.uuid4())}
        ),
    ),
    "share with oneself": (
        422,
        lambda client, rows: share(
            client, rows["conversation_id"], read(client, SETTINGS)["user_id"]
        ),
    ),
    "removal of no member": (
        404,
        lambda client, rows: client.delete(f"{conversation_of(rows)}/shares/nobody"),
    ),
    "deletion of nothing": (
        404,
        lambda client, rows: client.delete(f"/conversations/{uuid.uuid4()}"),
    ),
}
