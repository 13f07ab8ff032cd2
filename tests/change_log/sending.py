"""Paths of the rows that tests change, and requests about them."""

import httpx

from tests.contract import Rows


def conversation_of(rows: Rows) -> str:
    return f"/conversations/{rows['conversation_id']}"


def message_of(rows: Rows) -> str:
    return f"/messages/{rows['message_id']}"


def run_of(rows: Rows) -> str:
    return f"/runs/{rows['run_id']}"


def share(
    client: httpx.Client, conversation_id: str, member: str, role: str = "viewer"
) -> httpx.Response:
    body = {"user_id": member, "role": role}
    return client.post(f"/conversations/{conversation_id}/shares", json=body)


def rate(client: httpx.Client, rows: Rows, rating: str) -> httpx.Response:
    return client.put(f"/messages/{rows['message_id']}/feedback", json={"rating": rating})
