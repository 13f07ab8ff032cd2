"""Defines Principal, the caller as handlers see it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller: `user_id` is the token's `sub`, `scopes` its `scope` claim."""

    user_id: str
    scopes: frozenset[str]
