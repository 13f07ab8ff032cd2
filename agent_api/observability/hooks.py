"""Defines how metrics and traces attach to the application and the database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from agent_api.live.hub import StreamHooks
from db.engine import Hooks


@dataclass(frozen=True)
class Observers:
    """The hooks of metrics and traces in one process."""

    middlewares: Sequence[Callable[[ASGIApp], ASGIApp]] = ()
    """Outermost first. They wrap the request log, which shows the trace id."""
    hooks: Hooks = field(default_factory=Hooks)
    streams: StreamHooks | None = None
    on_sweep: Callable[[str, Exception | None], object] = lambda *_: None
    """Called after each sweep with its name, and with the error that ended it."""
    on_expired_lease: Callable[[], object] = lambda: None
    """Called after each lease that was found to have expired."""
    close: Callable[[], None] = lambda: None
    """Sends what is still buffered; called when the process stops."""
