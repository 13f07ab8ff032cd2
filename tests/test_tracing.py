"""Traces that an OpenTelemetry collector gets from a real server over OTLP."""

import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psycopg2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.commands import agent_api_without, refusal
from tests.contract import NOWHERE
from tests.servers import SECRET, Server, command, free_port, start_server
from tests.test_request_log import SPAN_ID, TRACE_ID, line_of

pytestmark = pytest.mark.process


class Collector:
    """Accepts spans like any collector: POST /v1/traces with protobuf."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[Resource] = []
        self.raw = b""

    def take(self, body: bytes) -> None:
        self.raw += body
        for batch in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(batch.resource)
            for scope in batch.scope_spans:
                self.spans.extend(scope.spans)

    def trace_of(self, trace_id: str, count: int) -> list[Span]:
        """Wait for `count` spans of a trace and return them, the one of the request first.

        The span of the request is exported after those of its statements.
        """
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = [span for span in self.spans if span.trace_id.hex() == trace_id]
            has_ended = any(span.kind == Span.SPAN_KIND_SERVER for span in found)
            if has_ended and len(found) >= count:
                return sorted(found, key=lambda span: span.start_time_unix_nano)
            time.sleep(0.02)
        raise AssertionError(f"no {count} spans of {trace_id} in {self.spans}")


@contextmanager
def collecting() -> Iterator[tuple[str, Collector]]:
    """Run a collector for the block; yield its URL and the collector."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert (self.path, self.headers["content-type"]) == (
                "/v1/traces",
                "application/x-protobuf",
            )
            collector.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", collector
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as (url, collector), pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # milliseconds
        yield collector


@pytest.fixture(scope="module")
def traced(
    collector: Collector, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("data")
    # One connection: a sweep could hold the one that has prepared a statement.
    settings = {"tracing": "otlp", "statement_timeout_ms": "1000", "pool_size": "1"}
    with start_server(database_url, folder, **settings) as server:
        yield server


def attributes(span: Span | Resource) -> dict[str, str | int]:
    def read(pair: KeyValue) -> str | int:
        return pair.value.string_value or pair.value.int_value

    return {pair.key: read(pair) for pair in span.attributes}


def traceparent(trace_id: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{SPAN_ID}-{flags}", "tracestate": "vendor=1"}


def test_span_of_a_request_has_its_caller_as_parent_and_its_statements_as_children(
    traced: Server, collector: Collector
) -> None:
    trace_id = uuid.uuid4().hex
    with traced.client(f"maria-{uuid.uuid4()}") as maria:
        path = maria.post("/conversations", json={}).headers["location"]
        query = {"include_messages": False}
        maria.get(path, params=query)  # prepares the statement
        maria.get(path, params=query, headers=traceparent(trace_id))

    request, *statements = collector.trace_of(trace_id, 2)

    assert request.name == "GET /conversations/{conversation_id}"
    assert request.kind == Span.SPAN_KIND_SERVER
    assert request.parent_span_id.hex() == SPAN_ID
    assert request.trace_state == "vendor=1"
    assert attributes(request) == {
        "http.request.method": "GET",
        "http.route": "/conversations/{conversation_id}",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert request.status.code == Status.STATUS_CODE_UNSET
    assert [statement.name for statement in statements] == ["SELECT"]
    (statement,) = statements
    assert statement.kind == Span.SPAN_KIND_CLIENT
    assert statement.parent_span_id == request.span_id
    assert attributes(statement) == {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
    }
    assert request.start_time_unix_nano <= statement.start_time_unix_nano
    assert statement.end_time_unix_nano <= request.end_time_unix_nano


def test_spans_of_a_link_do_not_contain_its_secret(traced: Server, collector: Collector) -> None:
    trace_id = uuid.uuid4().hex
    with traced.client(f"maria-{uuid.uuid4()}") as maria:
        path = maria.post("/conversations", json={}).headers["location"]
        secret = maria.post(f"{path}/links", json={}).json()["secret"]
        maria.get(f"/shared/{secret}")  # prepares the statement
        maria.get(f"/shared/{secret}", headers=traceparent(trace_id))

    spans = collector.trace_of(trace_id, 3)

    assert spans[0].name == "GET /shared/{secret}"
    assert attributes(spans[0])["http.response.status_code"] == 200
    assert not [span for span in spans if secret in str(span)]


def test_spans_of_statements_are_named_by_operation(traced: Server, collector: Collector) -> None:
    created, messaged, activated, deleted = (uuid.uuid4().hex for _ in range(4))
    with traced.client(f"maria-{uuid.uuid4()}") as maria:
        made = maria.post("/conversations", json={}, headers=traceparent(created)).json()
        path = f"/conversations/{made['id']}"
        message = {"role": "user", "content": "Hello"}
        first = maria.post(f"{path}/messages", json=message, headers=traceparent(messaged)).json()
        maria.post(f"{path}/messages", json=message | {"sibling_of": first["id"]})
        shown = maria.put(
            f"{path}/active-message",
            json={"message_id": first["id"]},
            headers=traceparent(activated),
        )
        maria.delete(path, headers=traceparent(deleted))

    names = {
        span.name
        for trace_id in (created, messaged, activated, deleted)
        for span in collector.trace_of(trace_id, 2)
    }

    assert shown.status_code == 200
    assert "WITH" not in names  # activating reads the tree with a recursive query
    assert {
        "INSERT",
        "DELETE",
        "POST /conversations",
        "DELETE /conversations/{conversation_id}",
    } <= names


def test_span_of_a_failure_has_an_error_type_and_no_content(
    traced: Server, collector: Collector, database_url: str
) -> None:
    trace_id, content = uuid.uuid4().hex, f"Nobody else may read this: {uuid.uuid4()}"
    with traced.client(user := f"maria-{uuid.uuid4()}") as maria:
        conversation = maria.post("/conversations", json={"title": content}).json()["id"]
        maria.patch(f"/conversations/{conversation}", json={"title": content})  # prepares it
        with psycopg2.connect(database_url) as other, other.cursor() as cursor:
            cursor.execute("UPDATE conversations SET title = title WHERE id = %s", [conversation])
            answer = maria.patch(
                f"/conversations/{conversation}",
                json={"title": content},
                headers=traceparent(trace_id),
            )
        missing = uuid.uuid4().hex
        maria.get(f"/conversations/{NOWHERE}", headers=traceparent(missing))

    assert answer.status_code == 504
    request, statement = collector.trace_of(trace_id, 2)
    assert attributes(request)["error.type"] == "504"
    assert attributes(statement)["error.type"] == "57014"
    assert {request.status.code, statement.status.code} == {Status.STATUS_CODE_ERROR}
    assert not request.events
    assert not statement.events
    assert collector.trace_of(missing, 2)[0].status.code == Status.STATUS_CODE_UNSET
    for secret in (content, user, conversation, SECRET):
        assert secret.encode() not in collector.raw


def test_log_names_the_span_of_the_request(traced: Server, collector: Collector) -> None:
    trace_id, request_id = uuid.uuid4().hex, str(uuid.uuid4())
    headers = {"X-Request-Id": request_id} | traceparent(trace_id)

    httpx.get(f"{traced.url}/healthz", headers=headers, verify=False)

    (request, *_) = collector.trace_of(trace_id, 1)
    line = line_of(traced, request_id)
    assert (line["trace_id"], line["span_id"]) == (trace_id, request.span_id.hex())


def test_request_without_a_valid_traceparent_starts_a_trace(
    traced: Server, collector: Collector
) -> None:
    request_id = str(uuid.uuid4())
    headers = {"X-Request-Id": request_id, "traceparent": f"ff-{TRACE_ID}-{SPAN_ID}-01"}

    httpx.request("PROPFIND", f"{traced.url}/{request_id}", headers=headers, verify=False)

    line = line_of(traced, request_id)
    (request,) = collector.trace_of(line["trace_id"], 1)
    assert line["trace_id"] != TRACE_ID
    assert request.parent_span_id == b""
    assert request.name == "HTTP"
    assert attributes(request)["http.request.method"] == "_OTHER"
    assert request_id.encode() not in collector.raw


def test_request_of_an_unsampled_trace_is_not_exported(
    traced: Server, collector: Collector
) -> None:
    unsampled, sampled = uuid.uuid4().hex, uuid.uuid4().hex
    for trace_id, flags in ((unsampled, "00"), (sampled, "01")):
        headers = traceparent(trace_id, flags)
        httpx.get(f"{traced.url}/healthz", headers=headers, verify=False)

    collector.trace_of(sampled, 1)

    assert unsampled not in {span.trace_id.hex() for span in collector.spans}


def test_spans_name_the_service(traced: Server, collector: Collector) -> None:
    trace_id = uuid.uuid4().hex
    httpx.get(f"{traced.url}/healthz", headers=traceparent(trace_id), verify=False)
    collector.trace_of(trace_id, 1)

    version = subprocess.check_output(command("version"), text=True).split()[1]
    said = attributes(collector.resources[-1])
    assert (said["service.name"], said["service.version"]) == ("agent-api", version)


@pytest.mark.slow
def test_pending_spans_are_exported_at_shutdown(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "chat-memory")
    trace_id = uuid.uuid4().hex
    with collecting() as (url, collector):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        with start_server(database_url, tmp_path, "--workers", "2", tracing="otlp") as server:
            httpx.get(f"{server.url}/healthz", headers=traceparent(trace_id), verify=False)

        (request,) = collector.trace_of(trace_id, 1)

    assert request.name == "GET /healthz"
    assert attributes(collector.resources[0])["service.name"] == "chat-memory"


@pytest.mark.slow
def test_unreachable_collector_affects_neither_requests_nor_shutdown(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with start_server(database_url, tmp_path, tracing="otlp") as server:
        with server.client(f"maria-{uuid.uuid4()}") as maria:
            answers = [maria.post("/conversations", json={}).status_code for _ in range(20)]
        stopping = time.monotonic()

    assert answers == [201] * 20
    assert time.monotonic() - stopping < 25
    assert server.process.returncode == 0


def test_missing_opentelemetry_is_reported_before_anything_starts(tmp_path: Path) -> None:
    done = agent_api_without(
        "opentelemetry.sdk.trace",
        *("serve", "--port", str(free_port())),
        data_dir=str(tmp_path),
        jwt_secret=SECRET,
        tracing="otlp",
    )

    assert refusal(done) == ("AGENT_API_TRACING=otlp needs OpenTelemetry: install agent-api[otel]")
    assert list(tmp_path.iterdir()) == []
