"""Shares conversations with users, and stops it."""

from collections.abc import Callable
from urllib.parse import quote

import httpx

from tests.calls import Json, create, read
from tests.tokens import SETTINGS

NewClient = Callable[..., httpx.Client]


def user_of(client: httpx.Client) -> str:
    """Return the id of the client's user."""
    user_id: str = read(client, SETTINGS)["user_id"]
    return user_id


def shares_of(conversation_id: str) -> str:
    """Return the path of the conversation's shares."""
    return f"/conversations/{conversation_id}/shares"


def share(
    owner: httpx.Client, conversation_id: str, member: httpx.Client | str, role: str = "viewer"
) -> Json:
    """Share a conversation; return the share."""
    user_id = member if isinstance(member, str) else user_of(member)
    return create(owner, shares_of(conversation_id), user_id=user_id, role=role)


def unshare(
    client: httpx.Client, conversation_id: str, member: httpx.Client | str
) -> httpx.Response:
    """Send the request to stop sharing a conversation; return the response."""
    user_id = member if isinstance(member, str) else user_of(member)
    return client.delete(f"{shares_of(conversation_id)}/{quote(user_id, safe='')}")
