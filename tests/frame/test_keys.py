"""What the frame does with an Idempotency-Key where an operation answers with something unusual."""

import logging
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from agent_api.http.responses import Response, ok, stream
from db import engine
from tests.frame.serving import contract, frame_app, serving
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
    """Answer nothing."""
    called.append("pickup")
    return Response(202)


def create_list() -> Response:
    """Answer what is no object."""
    called.append("list")
    return ok([str(uuid.uuid4())])


def create_stream() -> Response:
    """Answer what cannot be kept."""
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
    with serving(frame_app(CONTRACT, HANDLERS)) as connected:
        connected.headers["Authorization"] = f"Bearer {sign(f'user-{uuid.uuid4()}')}"
        connected.headers["Idempotency-Key"] = "a key"
        yield connected
    engine.dispose()


def test_an_answer_without_content_is_repeated_without_content(client: httpx.Client) -> None:
    answers = [client.post("/pickups") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.content for answer in answers] == [b"", b""]
    assert ["content-type" in answer.headers for answer in answers] == [False, False]
    assert called == ["pickup"]


def test_an_answer_that_is_no_object_is_repeated(client: httpx.Client) -> None:
    first, again = [client.post("/lists") for _ in range(2)]

    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert called == ["list"]


def test_a_stream_has_no_answer_that_could_be_repeated(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = client.post("/streams")

    assert response.status_code == 500
    assert "create_stream: cannot repeat a stream" in caplog.text
    del client.headers["Idempotency-Key"]
    assert client.post("/streams").text == "line\n"
