"""Edits messages, and reads their versions."""

from typing import Any

import httpx

from tests.calls import Json, change, read_all

TEXT: Json = {"type": "text", "text": "Harbour Street costs less."}


def path_of(message: Json) -> str:
    """Return the path of the message."""
    return f"/messages/{message['id']}"


def edit(client: httpx.Client, message: Json, **changes: Any) -> Json:
    """Edit a message, and return it as it is now."""
    return change(client, path_of(message), **changes)


def versions_of(client: httpx.Client, message: Json, **query: Any) -> list[Json]:
    """Return all versions of a message."""
    return read_all(client, f"{path_of(message)}/versions", **query)


def version_of(message: Json, author: str | None = None) -> Json:
    """Return the message as the version that `author` has just written."""
    return {name: message[name] for name in ("version", "content", "parts", "metadata")} | {
        "author": author,
        "created_at": message["edited_at"] or message["created_at"],
    }
