"""Requests that try a token, and the expected rejection."""

from typing import Any

import httpx

from tests.contract import assert_problem
from tests.servers import Server

SETTINGS = "/users/me/chat-settings"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ask(server: Server, token: str) -> httpx.Response:
    """Get the chat settings, which exist for every user."""
    return get(server, headers=bearer(token))


def get(server: Server, **options: Any) -> httpx.Response:
    # verify=False saves loading certificates, which plain HTTP does not need.
    return httpx.get(server.url + SETTINGS, timeout=60, verify=False, **options)


def assert_refused(response: httpx.Response) -> None:
    problem = assert_problem(response, 401)
    assert problem["type"] == "/problems/unauthorized"
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
