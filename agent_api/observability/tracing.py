"""Writes OpenTelemetry spans for requests and their database statements.

Names and attributes follow the semantic conventions for HTTP and databases, version 1. They contain
nothing that a client sends. The standard OTEL_* variables configure exporter and sampler.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial

import psycopg2
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_api import __version__
from agent_api.http.request_context import METHODS, ROUTE, TRACE, Trace, read_trace
from agent_api.observability.hooks import Observers
from db.engine import Hooks
from db.engine.prepared import verb

FLUSH_SECONDS = 3
"""Time to send the remaining spans when the server stops."""
_propagator = TraceContextTextMapPropagator()


def observers() -> Observers:
    """Return the hooks that write spans. `close` sends the remaining ones."""
    resource = Resource.create({SERVICE_VERSION: __version__})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "agent-api"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return Observers(
        middlewares=[TracingMiddleware],
        hooks=Hooks(around_statement=statement_span),
        close=partial(_close, provider),
    )


def _close(provider: TracerProvider) -> None:
    """Send the remaining spans for FLUSH_SECONDS. The SDK would try for 30 s."""
    flushing = threading.Thread(target=provider.shutdown, name="flush-spans", daemon=True)
    flushing.start()
    flushing.join(FLUSH_SECONDS)


class TracingMiddleware:
    """Writes a span for each request, as a child of the caller's span."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._tracer = trace.get_tracer("agent_api", __version__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its span as the current one."""
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        name = "HTTP" if method == "_OTHER" else method
        with self._tracer.start_as_current_span(
            name,
            context=_parent(scope),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.scheme": scope["scheme"]},
            # The message of an exception may contain what the client sent.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            ours = span.get_span_context()
            scope[TRACE] = Trace(
                trace.format_trace_id(ours.trace_id), trace.format_span_id(ours.span_id)
            )

            async def observed_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        span.set_attribute("error.type", str(status))
                        span.set_status(StatusCode.ERROR)
                await send(message)

            try:
                await self.app(scope, receive, observed_send)
            finally:
                if (route := scope.get(ROUTE)) is not None:
                    span.update_name(f"{name} {route}")
                    span.set_attribute("http.route", route)


def _parent(scope: Scope) -> Context:
    """Return the caller's span as a context, or an empty one to start a trace."""
    if read_trace(scope["headers"]) is None:
        return Context()
    names = (b"traceparent", b"tracestate")
    found = {name.decode(): v.decode("latin-1") for name, v in scope["headers"] if name in names}
    return _propagator.extract(found, Context())


@contextmanager
def statement_span(sql: str, _parameters: object) -> Iterator[None]:
    """Write a span for a statement, without its SQL and values."""
    operation = _operation(sql)
    with trace.get_tracer("agent_api", __version__).start_as_current_span(
        operation,
        kind=SpanKind.CLIENT,
        attributes={"db.system.name": "postgresql", "db.operation.name": operation},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except psycopg2.Error as error:
            code = error.pgcode or type(error).__qualname__
            span.set_attribute("error.type", code)
            if error.pgcode:
                span.set_attribute("db.response.status_code", error.pgcode)
            span.set_status(StatusCode.ERROR)
            raise


@lru_cache(maxsize=1024)
def _operation(sql: str) -> str:
    """Return the verb of a message's last statement, or SQL if it has only settings."""
    sql = sql.rpartition(";\n")[2]
    found = verb(sql) if sql else "SQL"
    if found == "EXECUTE":  # of a statement whose name starts with its verb
        return sql.split(maxsplit=1)[1].partition("_")[0].upper()
    return found
