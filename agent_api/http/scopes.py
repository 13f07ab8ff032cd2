"""Checks the scopes of tokens (RFC 8693 section 4.2)."""

from collections.abc import Set

from agent_api.http.problems import InsufficientScope

WORK = "runs:work"
"""The scope of workers, which claim runs and act as their owners."""


def require(scopes: Set[str], scope: str) -> None:
    """Raise InsufficientScope unless the token has the scope."""
    if scope not in scopes:
        raise InsufficientScope(scope)
