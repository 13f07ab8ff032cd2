"""Sets up metrics and traces if the settings enable them."""

from dataclasses import replace

from agent_api.observability.hooks import Observers
from agent_api.settings import ConfigError, Settings


def observers(settings: Settings) -> Observers:
    """Return the hooks. Metrics need the folder of `export_metrics_folder`."""
    found = Observers()
    if settings.metrics_port is not None:
        from agent_api.observability import metrics  # noqa: PLC0415  # loaded only if enabled

        found = metrics.observers(settings)
    if settings.tracing == "otlp":
        from agent_api.observability import tracing  # noqa: PLC0415  # loaded only if enabled

        spans = tracing.observers()
        found = replace(
            found,
            middlewares=(*spans.middlewares, *found.middlewares),
            hooks=replace(found.hooks, around_statement=spans.hooks.around_statement),
            close=spans.close,
        )
    return found


def check_tracing(settings: Settings) -> None:
    """Raise ConfigError if tracing is on and OpenTelemetry is not installed."""
    if settings.tracing == "off":
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: PLC0415  # an extra
        import opentelemetry.sdk.trace.export  # noqa: F401, PLC0415  # only to see if it is installed
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"AGENT_API_TRACING={settings.tracing} needs OpenTelemetry: install agent-api[otel]"
        ) from error
