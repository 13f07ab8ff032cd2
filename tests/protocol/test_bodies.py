"""Request bodies: media type, JSON syntax, chunks, length and size."""

import json
import uuid

import httpx
import pytest

from tests.contract import (
    Operation,
    Rows,
    assert_problem,
    make_rows,
    places,
)
from tests.protocol.cases import EVERY_OPERATION_WITH_A_BODY, JSON, SMALL, case
from tests.servers import Server
from tests.wire import Wire, ask, head


@EVERY_OPERATION_WITH_A_BODY
def test_media_type_json_is_accepted_in_any_spelling(
    operation: Operation, alice: httpx.Client
) -> None:
    rows = make_rows(alice)
    content = json.dumps(operation.body(rows)).encode()

    for media_type in (
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        'Application/Json;Charset="UTF-8"',
        "application/json ; charset=UTF8",
        # Parameters may be empty (RFC 9110 section 5.6.6).
        "application/json;",
        "application/json; charset=utf-8;",
        "application/json ;\t; charset=utf-8 ;;",
    ):
        headers = {"Content-Type": media_type}
        response = operation.send(alice, rows, content=content, headers=headers)

        assert response.status_code == operation.success, (media_type, response.text)


def test_content_encoding_identity_is_accepted_in_any_case(alice: httpx.Client) -> None:
    """Content codings are case-insensitive (RFC 9110 section 8.4.1)."""
    for coding in ("identity", "Identity", "IDENTITY"):
        headers = JSON | {"Content-Encoding": coding}

        response = alice.post("/conversations", content=b"{}", headers=headers)

        assert response.status_code == 201, (coding, response.text)


@EVERY_OPERATION_WITH_A_BODY
def test_any_other_media_type_is_a_415(
    operation: Operation, owner: httpx.Client, kept_rows: Rows
) -> None:
    wrong: list[dict[str, str]] = [
        {},
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/problem+json"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application"},
        {"Content-Type": "*/*"},
        {"Content-Type": "application/json, text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json; charset=utf-8; charset=utf-16"},
        {"Content-Type": "application/json;" + " " * 50_000 + "x"},
        {"Content-Type": ";application/json"},
        JSON | {"Content-Encoding": "gzip"},
        JSON | {"Content-Encoding": "identity, br"},
    ]

    for headers in wrong:
        with case(headers):
            response = operation.send(owner, kept_rows, content=b"{}", headers=headers)

            problem = assert_problem(response, 415)
            assert problem["type"] == "/problems/unsupported-media-type"


NOT_JSON = [
    b"{",
    b'{"a": 1',
    b'{"a": 1}}',
    b'{"a": 1,}',
    b"{'a': 1}",
    b"{a: 1}",
    b'{"a": 1} // more',
    b"a=1",
    b" ",
    b"NaN",
    b'{"metadata": {"a": Infinity}}',
    b'{"metadata": {"a": NaN}}',
    b'{"metadata": {"a": 01}}',
    b'{"metadata": {"a": .5}}',
    b'{"a": "\x00"}',
    b'{"a": "line\nbreak"}',
    b'{"a": "\\x41"}',
    b'{"a": "\\ud8"}',
    b"\xff",
    b'{"a": "\xff"}',
    b'{"a": "\xc3("}',
    b'{"a": "\xed\xa0\x80"}',
    b'{"\xff": 1}',
    b"\xef\xbb\xbf{}",
    '{"a": 1}'.encode("utf-16"),
    b"\x1f\x8b\x08\x00",
]


@EVERY_OPERATION_WITH_A_BODY
def test_invalid_json_or_utf_8_is_a_400(
    operation: Operation, owner: httpx.Client, kept_rows: Rows
) -> None:
    for content in NOT_JSON:
        with case(content):
            response = operation.send(owner, kept_rows, content=content, headers=JSON)

            assert assert_problem(response, 400)["type"] == "/problems/bad-request"


@EVERY_OPERATION_WITH_A_BODY
def test_missing_body_is_refused_unless_it_is_optional(
    operation: Operation, owner: httpx.Client, kept_rows: Rows
) -> None:
    """The media type is checked before the body, so without one a 415 wins over the 400."""
    for headers, status in ((JSON, 400), ({}, 415)):
        response = operation.send(owner, kept_rows, content=b"", headers=headers)

        assert response.status_code == (status if operation.body_required else operation.success)
        if operation.body_required:
            assert_problem(response, status)


@EVERY_OPERATION_WITH_A_BODY
def test_body_that_is_not_an_object_is_a_422(
    operation: Operation, owner: httpx.Client, kept_rows: Rows
) -> None:
    documents: list[object] = [[], None, 1, 1.5, "text", True, [{}]]
    for document in documents:
        with case(document):
            response = operation.send(owner, kept_rows, content=json.dumps(document), headers=JSON)

            assert places(assert_problem(response, 422)) == {"body:"}


@EVERY_OPERATION_WITH_A_BODY
def test_chunked_body_is_read(operation: Operation, alice: httpx.Client) -> None:
    rows = make_rows(alice)
    content = json.dumps(operation.body(rows)).encode()
    chunks = (content[i : i + 7] for i in range(0, len(content), 7))

    response = operation.send(alice, rows, content=chunks, headers=JSON)

    assert "content-length" not in response.request.headers
    assert response.status_code == operation.success, response.text


def test_create_conversation_accepts_chunk_extensions_and_trailers(server: Server) -> None:
    body = b'8;name=value\r\n{"title"\r\nA\r\n: "Chunks"\r\n1\r\n}\r\n0\r\nX-Sum: 1\r\n\r\n'
    lines = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")

    answer = ask(server, head("POST /conversations", *lines) + body)

    assert answer.status == 201
    assert json.loads(answer.content)["title"] == "Chunks"


def test_create_conversation_refuses_invalid_or_ambiguous_body_length(server: Server) -> None:
    for lines in (
        [b"Content-Length: x"],
        [b"Content-Length: -1"],
        [b"Content-Length: +2"],
        [b"Content-Length: 1_0"],
        [b"Content-Length: 0x2"],
        [b"Content-Length: 2.0"],
        [b"Content-Length: \xb2"],
        [b"Content-Length: \xd9\xa2"],
        [b"Content-Length: 2, 3"],
        [b"Content-Length: 2", b"Content-Length: 3"],
        [b"Content-Length: " + b"9" * 5000],
        [b"Content-Length: 2", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: nonsense"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
    ):
        request = head("POST /conversations", b"Content-Type: application/json", *lines) + b"{}"

        assert ask(server, request).status in (400, 413), lines
    assert httpx.get(f"{server.url}/healthz", verify=False).status_code == 200


def test_client_that_disconnects_while_sending_causes_no_error(server: Server) -> None:
    before = len(server.log.read_text())

    with Wire(server) as wire:
        wire.send(head("POST /conversations", *json_lines(100)) + b'{"title": "half a')

    assert httpx.get(f"{server.url}/readyz", verify=False).status_code == 200
    assert "Traceback" not in server.log.read_text()[before:]


def json_lines(length: int) -> list[bytes]:
    return [b"Content-Type: application/json", b"Content-Length: %d" % length]


# Size


@EVERY_OPERATION_WITH_A_BODY
def test_body_over_the_limit_is_a_413_and_at_the_limit_is_read(
    operation: Operation, small_server: Server
) -> None:
    with small_server.client(f"small-{uuid.uuid4()}") as client:
        rows = make_rows(client)
        body = json.dumps(operation.body(rows) | {"content": "a", "attachments": None}).encode()
        assert len(body) <= SMALL

        fits = operation.send(client, rows, content=body.ljust(SMALL), headers=JSON)
        over = operation.send(client, rows, content=body.ljust(SMALL + 1), headers=JSON)
        streamed = operation.send(client, rows, content=iter([body, b" " * SMALL]), headers=JSON)

    assert fits.status_code == operation.success, fits.text
    for response in (over, streamed):
        problem = assert_problem(response, 413)
        assert problem["type"] == "/problems/payload-too-large"
        assert str(SMALL) in problem["detail"]


@pytest.mark.parametrize(
    "expect", [[], [b"Expect: 100-continue"]], ids=["immediately", "after 100-continue"]
)
def test_too_large_content_length_is_refused_before_the_body_is_sent(
    server: Server, expect: list[bytes]
) -> None:
    lines = json_lines(10 * 1024 * 1024 + 1)

    answer = ask(server, head("POST /conversations", *lines, *expect))

    assert answer.status == 413
    assert json.loads(answer.content)["type"] == "/problems/payload-too-large"
    assert answer.headers["connection"] == "close"


def test_client_that_expects_100_continue_gets_a_response(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(head("POST /conversations", *json_lines(2), b"Expect: 100-continue"))
        # http.client skips the 100, which is only sent if the server reads the body.
        wire.send(b"{}")
        answer = wire.receive()

    assert answer.status == 201


def test_client_that_sends_ten_megabytes_too_many_receives_the_413(
    owner: httpx.Client,
) -> None:
    response = owner.post("/conversations", content=b" " * (20 * 1024 * 1024), headers=JSON)

    assert_problem(response, 413)
