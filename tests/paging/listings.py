"""The lists in each of their orders, and the user who has rows in all of them."""

import base64
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.calls import Json, read, refusals

ROWS = 24
SOURCES = ["agent-manager", "web", None]
AGENTS = ["document-agent", "web-agent"]
STATUSES = ["pending", "running"]


@dataclass(frozen=True)
class Listing:
    """A list in one order; `kind` names the rows and the time that they are ordered by."""

    operation_id: str
    kind: str
    parameters: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return " ".join([self.operation_id, *(value for _, value in self.parameters)])

    @property
    def query(self) -> dict[str, str]:
        return dict(self.parameters)

    def path(self, conversation: Json) -> str:
        if self.kind == "messages":
            return f"/conversations/{conversation['id']}/messages"
        return f"/{self.operation_id.removeprefix('list_').replace('_', '-')}"

    def ordered(self, oldest_first: list[str]) -> list[str]:
        return oldest_first if self.query["order"] == "asc" else oldest_first[::-1]


LISTINGS = [
    *(
        Listing("list_conversations", by, (("order_by", by), ("order", order)))
        for by in ("created_at", "updated_at")
        for order in ("asc", "desc")
    ),
    *(
        Listing(f"list_{name}", name, (("order", order),))
        for name in ("messages", "runs", "chat_attachments")
        for order in ("asc", "desc")
    ),
]
every_listing = pytest.mark.parametrize("listing", LISTINGS, ids=str)


@dataclass(frozen=True)
class World:
    """A user with ROWS rows in every list, and the ids of the rows from oldest to newest."""

    client: httpx.Client
    conversation: Json
    oldest_first: dict[str, list[str]]
    conversations: list[Json]
    runs: list[Json]
    attachments: list[Json]

    def read(self, listing: Listing, **parameters: Any) -> Json:
        path = listing.path(self.conversation)
        return read(self.client, path, **listing.query | parameters)

    def get(self, listing: Listing, **parameters: Any) -> httpx.Response:
        path = listing.path(self.conversation)
        return self.client.get(path, params=listing.query | parameters)

    def expected(self, listing: Listing) -> list[str]:
        return listing.ordered(self.oldest_first[listing.kind])


def refused(response: httpx.Response) -> set[tuple[str, str]] | str:
    """Return what a 422 refuses, or the status and text of any other response."""
    if response.status_code == 422:
        return refusals(response)
    return f"{response.status_code} {response.text[:200]}"


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
