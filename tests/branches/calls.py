"""Calls that tests of branches make."""

import httpx

from tests.calls import Json, create, messages_of, read_all


def activate(client: httpx.Client, conversation: Json, message: Json) -> Json:
    """Activate the branch of a message; return the conversation."""
    path = f"/conversations/{conversation['id']}/active-message"
    response = client.put(path, json={"message_id": message["id"]})
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


def tree_of(client: httpx.Client, conversation: Json) -> list[Json]:
    """Return the messages of all branches."""
    return read_all(client, messages_of(conversation), branches="all", limit=100)


def path_of(client: httpx.Client, conversation: Json) -> list[Json]:
    """Return the messages of the active path."""
    return read_all(client, messages_of(conversation), limit=100)


def fork(client: httpx.Client, conversation: Json, **body: str) -> Json:
    """Copy a conversation."""
    return create(client, f"/conversations/{conversation['id']}/fork", **body)


def contents(client: httpx.Client, conversation: Json) -> list[str]:
    """Return the texts of the active path."""
    return [each["content"] for each in path_of(client, conversation)]
