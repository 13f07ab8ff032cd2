"""Observers: what metrics and traces put around an application and into its database engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from db.engine import Hooks


@dataclass(frozen=True)
class Observers:
    """What one process puts around its application and into its database's engine."""

    middlewares: Sequence[Callable[[ASGIApp], ASGIApp]] = ()
    """Outermost first; they stand around the log, which names their trace."""
    on_thread_wait: Callable[[float], None] | None = None
    """Told for how many seconds a request waited for a thread, or in vain."""
    hooks: Hooks = field(default_factory=Hooks)
    close: Callable[[], None] = lambda: None
