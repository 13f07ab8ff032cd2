"""Helpers for tests of repeated POSTs: keys, row counts, and SQL statements."""

import uuid
from typing import Any

import httpx
import pytest

from tests.calls import read
from tests.contract import OPERATIONS, Operation, Rows, name_of

# The response of create_link has a secret, which is not stored to be repeated.
POSTS = [
    o
    for o in OPERATIONS
    if o.method == "POST" and o.success == 201 and o.operation_id != "create_link"
]
"""The POSTs that add something; the others may be repeated, or hand out a lease once."""
CREATING = [operation for operation in POSTS if operation.operation_id.startswith("create_")]
HEADER = "header:/Idempotency-Key"
"""The place of an error about the key."""
each_post = pytest.mark.parametrize("operation", CREATING, ids=name_of)


def new_key() -> dict[str, str]:
    """Return an Idempotency-Key header with a new key."""
    return {"Idempotency-Key": str(uuid.uuid4())}


def user_of(client: httpx.Client) -> str:
    """Return the id of the client's user."""
    user_id: str = read(client, "/users/me/chat-settings")["user_id"]
    return user_id


def count(client: httpx.Client, operation: Operation, rows: Rows) -> int:
    """Return how many rows the list at the path of `operation` has."""
    total: int = read(client, operation.url(rows))["total"]
    return total


def assert_same_response(first: httpx.Response, again: httpx.Response) -> None:
    """Assert that both are the same 201, except for its date and request id."""
    assert first.status_code == again.status_code == 201, again.text
    assert again.content == first.content
    own = {"date", "x-request-id"}
    assert {name: value for name, value in again.headers.items() if name not in own} == {
        name: value for name, value in first.headers.items() if name not in own
    }
    assert again.headers["location"].endswith(first.json()["id"])


def execute(database: Any, statement: str, *values: object) -> Any:
    """Run SQL; return the first value of the first row, or the number of changed rows."""
    with database.cursor() as cursor:
        cursor.execute(statement, values)
        if cursor.description is None:
            return cursor.rowcount
        (value,) = cursor.fetchone()
        return value
