"""Imports and sets up the observers that the settings ask for; the others cost nothing."""

from dataclasses import replace

from agent_api.observability.hooks import Observers
from agent_api.settings import ConfigError, Settings


def observers(settings: Settings) -> Observers:
    """Return what the settings ask for; metrics only count inside of `published`."""
    found = Observers()
    if settings.metrics_port is not None:
        from agent_api.observability import metrics  # noqa: PLC0415  # what is off costs nothing

        found = metrics.observers(settings)
    if settings.tracing == "otlp":
        from agent_api.observability import tracing  # noqa: PLC0415  # what is off costs nothing

        spans = tracing.observers()
        found = replace(
            found,
            middlewares=(*spans.middlewares, *found.middlewares),
            hooks=replace(found.hooks, cursor_factory=spans.hooks.cursor_factory),
            close=spans.close,
        )
    return found


def check_tracing(settings: Settings) -> None:
    """Raise ConfigError if tracing is on and OpenTelemetry is not installed."""
    if settings.tracing == "off":
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: PLC0415  # an extra
        import opentelemetry.sdk.trace.export  # noqa: F401, PLC0415  # only whether they are there
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"AGENT_API_TRACING={settings.tracing} needs OpenTelemetry: install agent-api[otel]"
        ) from error
