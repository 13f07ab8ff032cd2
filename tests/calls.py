"""What tests of the API do over and over: create, read, page through, be refused, all at once."""

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
"""A UUID that no row has."""


def create(client: httpx.Client, path: str, /, **body: Any) -> Json:
    """POST `body`; return what was created."""
    return _json(client.post(path, json=body), 201)


def read(client: httpx.Client, path: str, /, **parameters: Any) -> Json:
    """GET with `parameters` in the query; return the answer."""
    return _json(client.get(path, params=parameters), 200)


def change(client: httpx.Client, path: str, /, **body: Any) -> Json:
    """PATCH with `body`; return what it is now."""
    return _json(client.patch(path, json=body), 200)


def _json(response: httpx.Response, status: int) -> Json:
    assert response.status_code == status, response.text[:2000]
    # Unlike Python's own reader it takes an integer beyond 64 bits for a double, as most do.
    result: Json = orjson.loads(response.content)
    return result


def new_conversation(client: httpx.Client, **body: Any) -> Json:
    """Create a conversation of the client's user."""
    return create(client, "/conversations", **body)


def post_message(client: httpx.Client, conversation: Json, content: str, **body: Any) -> Json:
    """Post a message, the user's unless `body` has another role."""
    path = f"/conversations/{conversation['id']}/messages"
    return create(client, path, **({"role": "user", "content": content} | body))


def new_run(client: httpx.Client, **body: Any) -> Json:
    """Create a run, of some agent unless `body` names one."""
    return create(client, "/runs", **({"agent_id": "some-agent"} | body))


def get_conversation(client: httpx.Client, conversation: Json) -> Json:
    """Return the conversation as it is now, without its messages."""
    return read(client, f"/conversations/{conversation['id']}", include_messages=False)


def rows(page: Json) -> list[Json]:
    """Return the rows of a page, whatever the list calls them."""
    (name,) = page.keys() - {"total", "limit", "offset", "next_cursor"}
    result: list[Json] = page[name]
    return result


def pages(client: httpx.Client, path: str, /, **parameters: Any) -> Iterator[Json]:
    """Yield a list's pages one after the other, each by the cursor of the one before."""
    page = read(client, path, **parameters)
    yield page
    while page["next_cursor"] is not None:
        page = read(client, path, **parameters, cursor=page["next_cursor"])
        yield page


def read_all(client: httpx.Client, path: str, /, **parameters: Any) -> list[Json]:
    """Return all rows of a list, read page by page."""
    return [row for page in pages(client, path, **parameters) for row in rows(page)]


def ids(found: Sequence[Json]) -> list[str]:
    """Return the ids of `found`, in its order."""
    return [row["id"] for row in found]


def refusals(response: httpx.Response) -> set[tuple[str, str]]:
    """Return what a 422 finds wrong: the part of the request, and the pointer within it."""
    problem = _json(response, 422)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "/problems/validation-failed"
    return {(error["in"], error["pointer"]) for error in problem["errors"]}


def nested(levels: int) -> Json:
    """Return an object in an object and so on, `levels` deep, with a string inside."""
    value: Any = "the bottom"
    for _ in range(levels):
        value = {"deeper": value}
    result: Json = value
    return result


def at_once(acts: Sequence[Callable[[], T]]) -> list[T]:
    """Run `acts`, each in a thread of its own, as nearly at the same time as threads can."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], T]) -> T:
        start.wait(30)
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


def short(value: object) -> str:
    """Return the id of a test's parameter, which may be long."""
    return repr(value)[:40]
