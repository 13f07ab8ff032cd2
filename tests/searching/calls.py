"""Searches, and what they find."""

from typing import Any

import httpx

from tests.calls import Json, read

SEARCH = "/search"


def search(client: httpx.Client, q: str, **parameters: Any) -> list[Json]:
    """Return the results on the first page."""
    results: list[Json] = read(client, SEARCH, q=q, **parameters)["results"]
    return results


def found(client: httpx.Client, q: str, **parameters: Any) -> list[str]:
    """Return the ids of the messages on the first page."""
    return [result["message_id"] for result in search(client, q, **parameters)]


def highlighted(result: Json) -> list[str]:
    """Return the parts of the snippet that are to be highlighted."""
    units = result["snippet"].encode("utf-16-le")
    return [
        units[2 * each["start"] : 2 * each["end"]].decode("utf-16-le")
        for each in result["highlights"]
    ]
