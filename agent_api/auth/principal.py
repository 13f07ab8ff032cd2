"""Defines Principal, the caller as handlers see it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: `user_id` is the `sub` of the token, `scopes` its `scope`."""

    user_id: str
    scopes: frozenset[str]
