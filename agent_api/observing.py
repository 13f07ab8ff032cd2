"""What watches the server where a setting asks for it; otherwise none of it is even imported."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from tempfile import TemporaryDirectory

from starlette.types import ASGIApp

from agent_api import config
from agent_api.config import ConfigError, Settings
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


def observers(settings: Settings) -> Observers:
    """Return what the settings ask for; metrics only count inside of `published`."""
    found = Observers()
    if settings.metrics_port is not None:
        from agent_api import metrics  # noqa: PLC0415  # what is off costs nothing

        found = metrics.observers(settings)
    if settings.tracing == "otlp":
        from agent_api import tracing  # noqa: PLC0415  # what is off costs nothing

        spans = tracing.observers()
        found = replace(
            found,
            middlewares=(*spans.middlewares, *found.middlewares),
            hooks=replace(found.hooks, cursor_factory=spans.hooks.cursor_factory),
            close=spans.close,
        )
    return found


@contextmanager
def published(settings: Settings) -> Iterator[Callable[[], None]]:
    """Serve /metrics for all processes that this one starts, until the block ends.

    Yields what removes what lies in a folder, for a process that ends within the block. Raises
    ConfigError where a setting asks for what cannot be had, before anything is started.
    """
    _check_tracing(settings)
    if settings.metrics_port is None:
        yield lambda: None
        return
    # A count that is just written may stand in the way of its removal, and is no reason to fail.
    folder = TemporaryDirectory(prefix="agent-api-metrics-", ignore_cleanup_errors=True)
    with folder as name:
        config.hand_down_metrics_folder(name)
        # Only now: prometheus_client looks for the folder when it is imported.
        from agent_api import metrics_server  # noqa: PLC0415  # what is off costs nothing

        with metrics_server.running(settings.metrics_host, settings.metrics_port, name):
            yield folder.cleanup


def _check_tracing(settings: Settings) -> None:
    if settings.tracing == "off":
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: PLC0415  # an extra
        import opentelemetry.sdk.trace.export  # noqa: F401, PLC0415  # only whether they are there
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"AGENT_API_TRACING={settings.tracing} needs OpenTelemetry: install agent-api[otel]"
        ) from error
