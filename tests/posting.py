"""What tests of repeated POSTs share: keys, counts, and the database behind the server."""

import uuid
from typing import Any

import httpx
import pytest

from tests.calls import read
from tests.contract import (
    OPERATIONS,
    Operation,
    Rows,
    name_of,
)

POSTS = [operation for operation in OPERATIONS if operation.method == "POST"]
each_post = pytest.mark.parametrize("operation", POSTS, ids=name_of)


def new_key() -> dict[str, str]:
    """Return the header with a key that nobody has used."""
    return {"Idempotency-Key": str(uuid.uuid4())}


def count(client: httpx.Client, operation: Operation, rows: Rows) -> int:
    """Return how many rows there are of the kind that `operation` makes."""
    total: int = read(client, operation.url(rows))["total"]
    return total


def assert_same_answer(first: httpx.Response, again: httpx.Response) -> None:
    assert first.status_code == again.status_code == 201, again.text
    assert again.content == first.content
    own = {"date", "x-request-id"}
    assert {name: value for name, value in again.headers.items() if name not in own} == {
        name: value for name, value in first.headers.items() if name not in own
    }
    assert again.headers["location"].endswith(first.json()["id"])


def ask(database: Any, statement: str, *values: object) -> Any:
    """Run SQL; return the first value of its first row, or how many rows it changed."""
    with database.cursor() as cursor:
        cursor.execute(statement, values)
        if cursor.description is None:
            return cursor.rowcount
        (value,) = cursor.fetchone()
        return value
