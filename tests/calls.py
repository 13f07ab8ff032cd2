"""Calls that many tests make: create, read, page through a list, expect a rejection."""

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
import orjson

T = TypeVar("T")
Json = dict[str, Any]

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
NOBODYS_ID = "019cadd3-0000-7000-8000-000000000000"
"""An id that no row has."""


def create(client: httpx.Client, path: str, /, **body: Any) -> Json:
    """POST `body`; return the created row."""
    return _json(client.post(path, json=body), 201)


def read(client: httpx.Client, path: str, /, **parameters: Any) -> Json:
    """GET with `parameters` in the query; return the response body."""
    return _json(client.get(path, params=parameters), 200)


def change(client: httpx.Client, path: str, /, **body: Any) -> Json:
    """PATCH with `body`; return the changed row."""
    return _json(client.patch(path, json=body), 200)


def _json(response: httpx.Response, status: int) -> Json:
    assert response.status_code == status, response.text[:2000]
    # orjson reads integers beyond 64 bits as doubles, like most clients; `json` does not.
    result: Json = orjson.loads(response.content)
    return result


def new_conversation(client: httpx.Client, **body: Any) -> Json:
    """Create a conversation."""
    return create(client, "/conversations", **body)


def messages_of(conversation: Json) -> str:
    """Return the path of the conversation's messages."""
    return f"/conversations/{conversation['id']}/messages"


def post_message(client: httpx.Client, conversation: Json, content: str, **body: Any) -> Json:
    """Post a message, with the role `user` by default."""
    return create(
        client, messages_of(conversation), **({"role": "user", "content": content} | body)
    )


def new_run(client: httpx.Client, **body: Any) -> Json:
    """Create a run, of `some-agent` by default."""
    return create(client, "/runs", **({"agent_id": "some-agent"} | body))


def new_attachment(client: httpx.Client, **body: Any) -> Json:
    """Create an attachment."""
    file = {"filename": "lease.pdf", "file_url": "s3://leases/lease.pdf"}
    return create(client, "/chat-attachments", **(file | body))


def get_conversation(client: httpx.Client, conversation: Json) -> Json:
    """Return the stored conversation without its messages."""
    return read(client, f"/conversations/{conversation['id']}", include_messages=False)


def rows(page: Json) -> list[Json]:
    """Return the rows of a page of any list."""
    (name,) = page.keys() - {"total", "limit", "offset", "next_cursor"}
    result: list[Json] = page[name]
    return result


def pages(client: httpx.Client, path: str, /, **parameters: Any) -> Iterator[Json]:
    """Yield the pages of a list, following `next_cursor`."""
    page = read(client, path, **parameters)
    yield page
    while page["next_cursor"] is not None:
        page = read(client, path, **parameters, cursor=page["next_cursor"])
        yield page


def read_all(client: httpx.Client, path: str, /, **parameters: Any) -> list[Json]:
    """Return all rows of a list."""
    return [row for page in pages(client, path, **parameters) for row in rows(page)]


def ids(found: Sequence[Json]) -> list[str]:
    """Return the ids of `found` in order."""
    return [row["id"] for row in found]


def refusals(response: httpx.Response) -> set[tuple[str, str]]:
    """Return the errors of a 422 as pairs of request part and JSON pointer."""
    problem = _json(response, 422)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "/problems/validation-failed"
    return {(error["in"], error["pointer"]) for error in problem["errors"]}


def nested(levels: int) -> Json:
    """Return `levels` nested objects with a string inside."""
    value: Any = "the bottom"
    for _ in range(levels):
        value = {"deeper": value}
    result: Json = value
    return result


def at_once(acts: Sequence[Callable[[], T]]) -> list[T]:
    """Run `acts` at the same time, each in its own thread; return their results."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], T]) -> T:
        start.wait(30)
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


def attempts(usual: int, thorough: int) -> int:
    """Return how often to repeat a race: more often in the Hypothesis profile `ci`."""
    return thorough if os.environ.get("HYPOTHESIS_PROFILE") == "ci" else usual


def short(value: object) -> str:
    """Return the start of the text of `value`, to name a test case."""
    return repr(value)[:80]
