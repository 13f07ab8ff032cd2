"""Creates links, and reads what they show."""

from typing import Any

import httpx

from tests.calls import Json, create

WRONG = "This link is wrong, has expired or was deleted."


def links_of(conversation: Json) -> str:
    """Return the path of the conversation's links."""
    return f"/conversations/{conversation['id']}/links"


def publish(client: httpx.Client, conversation: Json, **body: Any) -> Json:
    """Create a link; return it with its secret."""
    return create(client, links_of(conversation), **body)


def shown(client: httpx.Client, link: Json) -> Json:
    """Return what a link shows."""
    response = client.get(f"/shared/{link['secret']}")
    assert response.status_code == 200, response.text
    snapshot: Json = response.json()
    return snapshot


def assert_gone(client: httpx.Client, secret: str) -> None:
    """Assert that a secret gets the response that all wrong ones get."""
    response = client.get(f"/shared/{secret}")
    assert response.status_code == 404, response.text
    assert response.json() == {
        "type": "/problems/not-found",
        "title": "Not found",
        "status": 404,
        "detail": WRONG,
    }
    assert response.headers["cache-control"] == "no-store"
    assert "etag" not in response.headers
