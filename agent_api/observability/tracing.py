"""Traces by OpenTelemetry: a span for each request, and one for each statement that it makes.

Names and attributes are those of the semantic conventions for HTTP and databases 1.x; what a client
sends stands in none of them. The exporter and the sampler are set by the standard OTEL_* variables.
"""

import re
import threading
from functools import lru_cache, partial
from typing import Any

import psycopg2
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from psycopg2.extensions import cursor
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_api import __version__
from agent_api.http.request_context import METHODS, ROUTE, TRACE, Trace, read_trace
from agent_api.observability.hooks import Observers
from db.engine import Hooks

SECONDS_TO_SEND = 3
"""What is left when the server stops."""
_CHANGE = re.compile(r"\b(?:INSERT INTO|UPDATE (?!SKIP|OF)|DELETE FROM)")
_propagator = TraceContextTextMapPropagator()


def observers() -> Observers:
    """Return what writes the spans of this process; `close` sends those that are left."""
    resource = Resource.create({SERVICE_VERSION: __version__})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "agent-api"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return Observers(
        middlewares=[TracingMiddleware],
        hooks=Hooks(cursor_factory=TracedCursor),
        close=partial(_close, provider),
    )


def _close(provider: TracerProvider) -> None:
    """Send what is left; a collector that is away is given up, where the SDK would wait 30 s."""
    sending = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
    sending.start()
    sending.join(SECONDS_TO_SEND)


class TracingMiddleware:
    """Writes the span of each request, a child of the caller's."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._tracer = trace.get_tracer("agent_api", __version__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its span as the current one, also in the handler's thread."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        name = "HTTP" if method == "_OTHER" else method
        with self._tracer.start_as_current_span(
            name,
            context=_parent(scope),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.scheme": scope["scheme"]},
            # An exception's text may hold what the client sent.
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
    """Return the caller's span as a context, or an empty one: then a new trace begins."""
    if read_trace(scope["headers"]) is None:
        return Context()
    names = (b"traceparent", b"tracestate")
    found = {name.decode(): v.decode("latin-1") for name, v in scope["headers"] if name in names}
    return _propagator.extract(found, Context())


class TracedCursor(cursor):
    """psycopg2's cursor, which writes a span for each statement: neither its SQL nor its values."""

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002  # psycopg2's name
        """Run the statement."""
        operation = _operation(query if isinstance(query, str) else "")
        with trace.get_tracer("agent_api", __version__).start_as_current_span(
            operation,
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.operation.name": operation},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                super().execute(query, vars)
            except psycopg2.Error as error:
                code = error.pgcode or type(error).__qualname__
                span.set_attribute("error.type", code)
                if error.pgcode:
                    span.set_attribute("db.response.status_code", error.pgcode)
                span.set_status(StatusCode.ERROR)
                raise


@lru_cache(maxsize=1024)
def _operation(sql: str) -> str:
    """Return the statement's verb; of one that begins with WITH the one that changes something.

    What is set in front of the statement, in the same message, does not count.
    """
    sql = sql.rpartition(";\n")[2]
    verb = sql.lstrip().partition(" ")[0].partition("\n")[0].upper()
    if verb == "WITH":
        change = _CHANGE.search(sql)
        return change[0].split()[0] if change else "SELECT"
    return verb or "SQL"
