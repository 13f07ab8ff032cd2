"""Idempotency-Key with operations whose responses are not JSON objects."""

import logging
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from agent_api.http.responses import Response, ok, stream
from db import engine
from tests.framework.apps import contract, framework_app, serving
from tests.servers import sign

CONTRACT = contract("""
paths:
  /pickups:
    post:
      operationId: create_pickup
      parameters: [{$ref: '#/components/parameters/Key'}]
      responses:
        '202': {description: It will be fetched.}
        '500': {description: A fault.}
  /lists:
    post:
      operationId: create_list
      parameters: [{$ref: '#/components/parameters/Key'}]
      responses:
        '200':
          description: Some numbers.
          content: {application/json: {schema: {type: array, items: {type: string}}}}
  /streams:
    post:
      operationId: create_stream
      parameters: [{$ref: '#/components/parameters/Key'}]
      responses:
        '200':
          description: Some lines.
          content: {text/plain: {schema: {type: string}}}
        '500': {description: A fault.}
security: [{token: []}]
components:
  securitySchemes: {token: {type: http, scheme: bearer}}
  parameters:
    Key: {name: Idempotency-Key, in: header, schema: {type: string}}
""")
called: list[str] = []


def create_pickup() -> Response:
    """Return no content."""
    called.append("pickup")
    return Response(202)


def create_list() -> Response:
    """Return an array."""
    called.append("list")
    return ok([str(uuid.uuid4())])


def create_stream() -> Response:
    """Return a stream, which cannot be stored."""
    return stream(iter([b"line\n"]), "text/plain")


HANDLERS: dict[str, Any] = {
    "create_pickup": create_pickup,
    "create_list": create_list,
    "create_stream": create_stream,
}


@pytest.fixture
def client(database_url: str) -> Iterator[httpx.Client]:
    called.clear()
    engine.configure(database_url, pool_size=2, statement_timeout_ms=5000)
    with serving(framework_app(CONTRACT, HANDLERS)) as connected:
        connected.headers["Authorization"] = f"Bearer {sign(f'user-{uuid.uuid4()}')}"
        connected.headers["Idempotency-Key"] = "a key"
        yield connected
    engine.dispose()


def test_repeated_request_gets_stored_empty_response(client: httpx.Client) -> None:
    responses = [client.post("/pickups") for _ in range(2)]

    assert [response.status_code for response in responses] == [202, 202]
    assert [response.content for response in responses] == [b"", b""]
    assert ["content-type" in response.headers for response in responses] == [False, False]
    assert called == ["pickup"]


def test_repeated_request_gets_stored_array(client: httpx.Client) -> None:
    first, again = [client.post("/lists") for _ in range(2)]

    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert called == ["list"]


def test_idempotency_key_for_stream_is_a_500(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = client.post("/streams")

    assert response.status_code == 500
    assert "create_stream: cannot repeat a stream" in caplog.text
    del client.headers["Idempotency-Key"]
    assert client.post("/streams").text == "line\n"
