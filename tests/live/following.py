"""Follows streams of Server-Sent Events, and appends events."""

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import httpx

from tests.calls import Json, change, create, new_run


class Frame(NamedTuple):
    """An event as a client of Server-Sent Events receives it."""

    id: int
    event: str
    data: Any


def frames(lines: Iterable[str]) -> Iterator[Frame]:
    """Yield the events of a stream, as the HTML standard says how to read it."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                event = fields.get("event", "message")
                yield Frame(int(fields["id"]), event, json.loads(fields["data"]))
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")


def following(
    client: httpx.Client, run: Json, **query: Any
) -> AbstractContextManager[Iterator[Frame]]:
    """Open the stream of a run's events, and yield an iterator over them."""
    return _following(client, f"/runs/{run['id']}/events/stream", **query)


def following_changes(
    client: httpx.Client, **query: Any
) -> AbstractContextManager[Iterator[Frame]]:
    """Open the stream of a user's changes, and yield an iterator over them."""
    return _following(client, "/changes/stream", **query)


@contextmanager
def _following(client: httpx.Client, path: str, **query: Any) -> Iterator[Iterator[Frame]]:
    last_event_id = query.pop("last_event_id", None)
    headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    with client.stream("GET", path, params=query, headers=headers) as response:
        assert response.status_code == 200, response.read()
        yield frames(_lines(response))


def _lines(response: httpx.Response) -> Iterator[str]:
    """Yield lines; httpx would also split them at characters that JSON may contain."""
    rest = b""
    for data in response.iter_raw():
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.decode()


def append(client: httpx.Client, run: Json, *events: Json, **body: Any) -> Json:
    """Append events, and return the numbers that they were given."""
    return create(client, f"/runs/{run['id']}/events", events=events, **body)


def word(text: str, **more: Any) -> Json:
    """Return an event with a piece of text."""
    return {"type": "text.delta", "data": {"text": text}, **more}


def running(client: httpx.Client, **body: Any) -> Json:
    """Create a run that is running; it has one event."""
    return new_run(client, status="running", **body)


def end(client: httpx.Client, run: Json, status: str = "succeeded") -> Json:
    """End a run."""
    return change(client, f"/runs/{run['id']}", status=status)


def texts(events: Iterable[Frame | Json]) -> list[str]:
    """Return the pieces of text among the events."""
    found = [event.data if isinstance(event, Frame) else event["data"] for event in events]
    return [data["text"] for data in found if "text" in data]
