"""HTTP as the contract has it: routes, methods, parameters, bodies, errors and headers."""

import base64
import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urljoin

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract import (
    CONTRACT,
    METHODS,
    NOWHERE,
    ON_ROWS,
    OPERATIONS,
    SECURED,
    TEXT,
    WITH_BODY,
    Operation,
    Rows,
    assert_problem,
    make_rows,
    name_of,
    places,
)
from tests.servers import Server, sign, start_server
from tests.wire import Wire, ask, head

ORIGIN = "https://chat.example.org"
SMALL = 1024
JSON = {"Content-Type": "application/json"}
EVERY_PATH = pytest.mark.parametrize("path", CONTRACT["paths"])
EVERY_OPERATION = pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
EVERY_OPERATION_WITH_A_BODY = pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
PROPERTY = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def user(server: Server) -> Iterator[httpx.Client]:
    """One user for all tests of this module."""
    with server.client(f"user-{uuid.uuid4()}") as client:
        yield client


@pytest.fixture(scope="module")
def rows(user: httpx.Client) -> Rows:
    """The user's rows, for requests that are refused before they change anything."""
    return make_rows(user)


@pytest.fixture(scope="module")
def small_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes small bodies, and browsers' requests from one origin."""
    folder = tmp_path_factory.mktemp("small")
    with start_server(
        database_url, folder, cors_origins=ORIGIN, max_body_bytes=str(SMALL)
    ) as running:
        yield running


# Paths and methods


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/conversations/",
        "//conversations",
        "/Conversations",
        "/healthz/",
        "/users/me",
        "/users/other/chat-settings",
        f"/conversations/{NOWHERE}/",
        f"/conversations/{NOWHERE}/messages/",
        f"/conversations/{NOWHERE}%2Fmessages%2Fmore",
        "/conversations//messages",
        "/problems/not-found",
        "/docs/",
        "/docs/..%2f..%2fetc/passwd",
        "/static/openapi.yaml",
        "/openapi.yml",
        "/ui",
        "/%00",
        "/%ff",
        "/" + "a" * 8000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_a_404_with_or_without_a_token(
    server: Server, path: str, method: str
) -> None:
    for token in (True, False):
        answer = ask(server, head(f"{method} {path}", b"Content-Length: 0", token=token))

        assert answer.status == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"]
        assert json.loads(answer.content)["type"] == "/problems/not-found"


@pytest.mark.parametrize(
    "odd", ["%00", "%FF", "%ED%A0%80", "%C3%28", "%zz", "%", "%0A", "%0D%0AX:y", "*", ";a=b", "é"]
)
@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_an_odd_id_is_a_422(operation: Operation, server: Server, odd: str) -> None:
    path = operation.path.format_map(dict.fromkeys(operation.names, odd))

    answer = ask(server, head(f"{operation.method} {path}", b"Content-Length: 0"))

    if odd == "é" and answer.status == 400:  # bytes outside ASCII are no HTTP
        return
    assert answer.status == 422, answer.content
    assert places(json.loads(answer.content)) == {f"path:/{name}" for name in operation.names}


@pytest.mark.parametrize(
    "bad",
    [
        "1",
        "not-a-uuid",
        NOWHERE[:-1],
        NOWHERE + "0",
        NOWHERE.replace("-", ""),
        "{" + NOWHERE + "}",
        f"urn:uuid:{NOWHERE}",
        NOWHERE.replace("0", "g"),
        NOWHERE.replace("0", "\u0660"),
        f"{NOWHERE[:-1]}\n",
    ],
)
@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_an_id_that_is_no_uuid_is_a_422(operation: Operation, user: httpx.Client, bad: str) -> None:
    response = operation.send(
        user, dict.fromkeys(operation.names, quote(bad)) | {"run_id": quote(bad)}
    )

    assert places(assert_problem(response, 422)) == {f"path:/{name}" for name in operation.names}


def test_an_escaped_path_and_an_id_in_capitals_mean_the_same(
    user: httpx.Client, rows: Rows
) -> None:
    plain = user.get(f"/conversations/{rows['conversation_id']}")

    escaped = user.get(f"/%63onversations/{rows['conversation_id']}")
    capital = user.get(f"/conversations/{rows['conversation_id'].upper()}")

    assert plain.status_code == 200
    assert escaped.json() == capital.json() == plain.json()


@EVERY_PATH
def test_every_path_refuses_other_methods_and_allows_all_of_its_own(
    path: str, anonymous: httpx.Client
) -> None:
    has = {method.upper() for method in METHODS if method in CONTRACT["paths"][path]}
    has |= {"HEAD"} if "GET" in has else set()
    url = re.sub(r"{\w+}", NOWHERE, path)

    for method in {method.upper() for method in METHODS} - has:
        response = anonymous.request(method, url)

        assert response.headers["allow"] == ", ".join(sorted(has)), method
        if method != "HEAD":
            assert assert_problem(response, 405)["type"] == "/problems/method-not-allowed"


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi.yaml", "/docs", "/docs/init.js"])
def test_the_pages_refuse_other_methods(path: str, anonymous: httpx.Client) -> None:
    response = anonymous.post(path)

    assert_problem(response, 405)
    assert {"GET", "HEAD"} <= set(response.headers["allow"].split(", "))


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method == "GET"], ids=name_of)
def test_head_answers_like_get_without_a_body(
    operation: Operation, user: httpx.Client, rows: Rows
) -> None:
    got = operation.send(user, rows)
    headed = operation.send(user, rows, method="HEAD")

    assert headed.status_code == got.status_code == 200
    assert headed.content == b""
    changing = {"date", "x-request-id"}
    assert {k: v for k, v in headed.headers.items() if k not in changing} == {
        k: v for k, v in got.headers.items() if k not in changing
    }


def test_head_of_an_error_has_no_body_and_leaves_the_connection_in_step(server: Server) -> None:
    with Wire(server) as wire:
        for path, status in (("/conversations", 401), ("/nothing", 404), ("/healthz", 200)):
            wire.send(head(f"HEAD {path}", token=False))
            assert wire.receive("HEAD").status == status
        wire.send(head("GET /healthz", token=False))
        assert json.loads(wire.receive().content) == {"status": "ok"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_body_that_no_operation_reads_is_passed_over(server: Server, method: str) -> None:
    body = b"GET /never HTTP/1.1\r\n\r\n"

    with Wire(server) as wire:
        wire.send(head(f"{method} /runs/{NOWHERE}", b"Content-Length: %d" % len(body)) + body)
        first = wire.receive()
        wire.send(head("GET /healthz"))
        second = wire.receive()

    assert first.status == {"GET": 404, "DELETE": 405}[method]
    assert second.status == 200


# Parameters


def parameters(*types: str) -> Any:
    """Return a mark that makes a test of every query parameter of `types`."""
    found = [
        pytest.param(operation, part, id=f"{operation.operation_id}-{part['name']}")
        for operation in OPERATIONS
        for part in operation.parameters
        if part["in"] == "query" and part["schema"]["type"] in types
    ]
    return pytest.mark.parametrize(("operation", "parameter"), found)


def refuse(
    operation: Operation, client: httpx.Client, rows: Rows, query: str, parameter: dict[str, Any]
) -> None:
    """Assert that the operation points at `parameter` when it is asked with `query`."""
    response = operation.send(client, rows, query=query)

    problem = assert_problem(response, 422)
    assert problem["type"] == "/problems/validation-failed"
    assert places(problem) == {f"query:/{parameter['name']}"}, query


@parameters("integer")
def test_an_integer_is_ascii_digits_within_its_bounds(
    operation: Operation, parameter: dict[str, Any], user: httpx.Client, rows: Rows
) -> None:
    name, schema = parameter["name"], parameter["schema"]
    odd = [
        "1_0",
        "\u0665",
        "\uff11",
        "\u00b2",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "1e1",
        "0x1",
        "",
        "one",
        "null",
        "1,2",
    ]
    outside = [schema["minimum"] - 1, schema["maximum"] + 1, 10**18, 10**30, "9" * 5000]

    for value in [*odd, *outside]:
        refuse(operation, user, rows, f"{name}={quote(str(value))}", parameter)

    for value in (schema["minimum"], schema["maximum"]):
        assert operation.send(user, rows, params={name: value}).status_code == 200


@parameters("boolean")
def test_a_boolean_is_true_or_false(
    operation: Operation, parameter: dict[str, Any], user: httpx.Client, rows: Rows
) -> None:
    for value in ("True", "FALSE", "1", "0", "yes", "on", "", "null"):
        refuse(operation, user, rows, f"{parameter['name']}={value}", parameter)

    for value in ("true", "false"):
        query = {parameter["name"]: value}
        assert operation.send(user, rows, params=query).status_code == 200


@parameters("string")
def test_a_string_keeps_its_schema(
    operation: Operation, parameter: dict[str, Any], user: httpx.Client, rows: Rows
) -> None:
    name, schema = parameter["name"], parameter["schema"]
    bad = [""]
    if "maxLength" in schema:
        bad.append("a" * (schema["maxLength"] + 1))
    if "enum" in schema:
        bad += [schema["enum"][0].upper(), f" {schema['enum'][0]}", ",".join(schema["enum"])]
    if schema.get("format") == "uuid":
        bad += ["not-a-uuid", NOWHERE[:-1], NOWHERE.replace("-", "")]

    for value in bad:
        refuse(operation, user, rows, f"{name}={quote(value)}", parameter)


@parameters("string", "integer", "boolean")
def test_a_parameter_is_given_once_and_is_text(
    operation: Operation, parameter: dict[str, Any], user: httpx.Client, rows: Rows
) -> None:
    name, example = parameter["name"], quote(str(parameter["example"]).lower())
    twice = f"{name}={example}&{name}={example}"

    refuse(operation, user, rows, twice, parameter)
    refuse(operation, user, rows, f"{name}=a%00b", parameter)


@pytest.mark.parametrize("value", ["%FF", "%ED%A0%80", "%C3%28"])
def test_list_conversations_refuses_a_query_that_is_not_utf_8(
    user: httpx.Client, value: str
) -> None:
    response = user.get(f"/conversations?source={value}")

    assert {error["in"] for error in assert_problem(response, 422)["errors"]} == {"query"}


def test_list_conversations_refuses_bytes_that_are_not_escaped(server: Server) -> None:
    answer = ask(server, head("GET /conversations?source=X").replace(b"X", b"\xc3\xbc", 1))

    assert answer.status in (400, 422)


def test_list_conversations_refuses_a_query_of_thousands_of_fields(user: httpx.Client) -> None:
    assert_problem(user.get("/conversations?" + "&".join(["a=1"] * 5000)), 422)


def test_all_wrong_parameters_are_named_at_once(user: httpx.Client) -> None:
    query: dict[str, str | int] = {"limit": 0, "offset": -1, "order": "up", "source": ""}

    response = user.get("/conversations", params=query)

    wrong = {error["pointer"]: error["detail"] for error in assert_problem(response, 422)["errors"]}
    assert wrong.keys() == {f"/{name}" for name in query}
    assert wrong["/limit"] == "must be at least 1"
    assert wrong["/order"] == "must be one of: asc, desc"


@given(text=st.text(max_size=30) | st.from_regex(r"[-+]?[0-9_]{1,22}", fullmatch=True))
@PROPERTY
def test_list_conversations_reads_a_limit_or_refuses_it(user: httpx.Client, text: str) -> None:
    try:
        query = "limit=" + quote(text)
    except UnicodeEncodeError:  # no client can send a lone surrogate
        return
    fits = re.fullmatch("-?[0-9]{1,19}", text, re.ASCII) and 1 <= int(text) <= 100

    response = user.get(f"/conversations?{query}")

    if fits:
        assert response.json()["limit"] == int(text)
    else:
        assert places(assert_problem(response, 422)) == {"query:/limit"}


# Cursors


LISTS = [o for o in OPERATIONS if any(part["name"] == "cursor" for part in o.parameters)]
EVERY_LIST = pytest.mark.parametrize("operation", LISTS, ids=name_of)


def forge(value: Any) -> str:
    """Return a cursor that is made as the server makes them, of any JSON value."""
    return base64_of(json.dumps(value).encode())


def base64_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


A_TIME = "2026-03-02T09:14:03.412907Z"
KEYS: list[Any] = [
    None,
    "",
    [],
    {},
    [-1],
    [True],
    [1.5],
    [2**63],
    [2**64],
    [A_TIME],
    [A_TIME, NOWHERE, 1],
    [A_TIME, "not-a-uuid"],
    ["yesterday", NOWHERE],
    ["2026-13-45T99:99:99.999999Z", NOWHERE],
    ["2026-02-30T00:00:00.000000Z", NOWHERE],
    ["2026-06-30T24:00:00.000001Z", NOWHERE],
    ["0000-01-01T00:00:00.000000Z", NOWHERE],
    ["\u0662\u0660\u0662\u0666-03-02T09:14:03.412907Z", NOWHERE],
    [A_TIME, [NOWHERE]],
    [A_TIME + "\0", NOWHERE],
]


@EVERY_LIST
@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_a_cursor_with_a_forged_key_is_refused(
    operation: Operation, user: httpx.Client, rows: Rows, key: Any
) -> None:
    for order in ("asc", "created_at desc"):  # the lists' own: only the key is wrong
        response = operation.send(user, rows, params={"cursor": forge([order, key])})

        assert places(assert_problem(response, 422)) == {"query:/cursor"}, (order, key)


@EVERY_LIST
def test_a_cursor_that_is_some_other_json_is_refused(
    operation: Operation, user: httpx.Client, rows: Rows
) -> None:
    for value in (None, 1, {}, [], "ab", {"a": 1, "b": 2}, ["asc"], ["asc", [1], 2], [None, [1]]):
        response = operation.send(user, rows, params={"cursor": forge(value)})

        assert places(assert_problem(response, 422)) == {"query:/cursor"}, value


@EVERY_LIST
@given(text=st.text(max_size=60) | st.binary(max_size=60).map(base64_of))
@PROPERTY
def test_a_cursor_of_any_text_is_refused(
    operation: Operation, user: httpx.Client, rows: Rows, text: str
) -> None:
    try:
        query = "cursor=" + quote(text)
    except UnicodeEncodeError:
        return

    response = operation.send(user, rows, query=query)

    assert places(assert_problem(response, 422)) == {"query:/cursor"}


# Bodies: what arrives


@EVERY_OPERATION_WITH_A_BODY
@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        'Application/Json;Charset="UTF-8"',
        "application/json ; charset=UTF8",
    ],
)
def test_json_by_any_spelling_is_read(
    operation: Operation, alice: httpx.Client, media_type: str
) -> None:
    rows = make_rows(alice)
    content = json.dumps(operation.body(rows)).encode()

    response = operation.send(alice, rows, content=content, headers={"Content-Type": media_type})

    assert response.status_code == operation.success, response.text


@EVERY_OPERATION_WITH_A_BODY
def test_any_other_media_type_is_a_415(
    operation: Operation, user: httpx.Client, rows: Rows
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
        JSON | {"Content-Encoding": "gzip"},
        JSON | {"Content-Encoding": "identity, br"},
    ]

    for headers in wrong:
        response = operation.send(user, rows, content=b"{}", headers=headers)

        problem = assert_problem(response, 415)
        assert problem["type"] == "/problems/unsupported-media-type", headers


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
def test_what_is_not_json_in_utf_8_is_a_400(
    operation: Operation, user: httpx.Client, rows: Rows
) -> None:
    for content in NOT_JSON:
        response = operation.send(user, rows, content=content, headers=JSON)

        assert response.status_code == 400, (content, response.text)
        assert assert_problem(response, 400)["type"] == "/problems/bad-request"


@EVERY_OPERATION_WITH_A_BODY
@pytest.mark.parametrize("headers", [{}, JSON], ids=["without a media type", "as JSON"])
def test_a_missing_body_is_a_400_unless_it_is_optional(
    operation: Operation, user: httpx.Client, rows: Rows, headers: dict[str, str]
) -> None:
    response = operation.send(user, rows, content=b"", headers=headers)

    if operation.body_required:
        # Without a media type the first thing that is wrong is the media type.
        assert_problem(response, 400 if headers else 415)
    else:
        assert response.status_code == operation.success


@EVERY_OPERATION_WITH_A_BODY
@pytest.mark.parametrize("document", [[], None, 1, 1.5, "text", True, [{}]], ids=repr)
def test_a_body_that_is_no_object_is_a_422(
    operation: Operation, user: httpx.Client, rows: Rows, document: object
) -> None:
    response = operation.send(user, rows, content=json.dumps(document), headers=JSON)

    assert places(assert_problem(response, 422)) == {"body:"}


@EVERY_OPERATION_WITH_A_BODY
def test_a_chunked_body_is_read(operation: Operation, alice: httpx.Client) -> None:
    rows = make_rows(alice)
    content = json.dumps(operation.body(rows)).encode()
    pieces = (content[i : i + 7] for i in range(0, len(content), 7))

    response = operation.send(alice, rows, content=pieces, headers=JSON)

    assert "content-length" not in response.request.headers
    assert response.status_code == operation.success, response.text


def test_create_conversation_reads_chunks_with_extensions_and_trailers(server: Server) -> None:
    body = b'8;name=value\r\n{"title"\r\nA\r\n: "Pieces"\r\n1\r\n}\r\n0\r\nX-Sum: 1\r\n\r\n'
    lines = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")

    answer = ask(server, head("POST /conversations", *lines) + body)

    assert answer.status == 201
    assert json.loads(answer.content)["title"] == "Pieces"


@pytest.mark.parametrize(
    "lines",
    [
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
    ],
    ids=lambda lines: b" ".join(lines)[:50].decode("latin-1"),
)
def test_a_message_whose_length_is_not_clear_is_refused(server: Server, lines: list[bytes]) -> None:
    answer = ask(
        server, head("POST /conversations", b"Content-Type: application/json", *lines) + b"{}"
    )

    assert answer.status in (400, 413)
    assert httpx.get(f"{server.url}/healthz", verify=False).status_code == 200


def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(server: Server) -> None:
    before = len(server.log.read_text())

    with Wire(server) as wire:
        wire.send(head("POST /conversations", *json_lines(100)) + b'{"title": "half a')

    assert httpx.get(f"{server.url}/readyz", verify=False).status_code == 200
    assert "Traceback" not in server.log.read_text()[before:]


def json_lines(length: int) -> list[bytes]:
    return [b"Content-Type: application/json", b"Content-Length: %d" % length]


# Bodies: their size


@EVERY_OPERATION_WITH_A_BODY
def test_a_body_over_the_limit_is_a_413_and_one_at_the_limit_is_read(
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


@pytest.mark.parametrize("expect", [[], [b"Expect: 100-continue"]], ids=["at once", "asking first"])
def test_a_body_that_announces_too_much_is_refused_before_it_is_sent(
    server: Server, expect: list[bytes]
) -> None:
    lines = json_lines(10 * 1024 * 1024 + 1)

    answer = ask(server, head("POST /conversations", *lines, *expect))

    assert answer.status == 413
    assert json.loads(answer.content)["type"] == "/problems/payload-too-large"
    assert answer.headers["connection"] == "close"


def test_a_client_that_asks_first_is_told_to_go_on(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(head("POST /conversations", *json_lines(2), b"Expect: 100-continue"))
        # http.client passes over the 100, which is only sent when the body is wanted.
        wire.send(b"{}")
        answer = wire.receive()

    assert answer.status == 201


def test_a_client_that_sends_ten_megabytes_too_many_still_reads_the_answer(
    user: httpx.Client,
) -> None:
    response = user.post("/conversations", content=b" " * (20 * 1024 * 1024), headers=JSON)

    assert_problem(response, 413)


# Bodies: what PostgreSQL, or JSON itself, could not keep


POISON = {
    "NUL": "\\u0000",
    "a lone high surrogate": "\\ud800",
    "a lone low surrogate": "\\udfff",
    "surrogates in the wrong order": "\\udc00\\ud800",
    "a surrogate before text": "\\uD83Dx",
}
PLACES = {
    '{"title": "a%sb"}': "/title",
    '{"metadata": {"key": "%s"}}': "/metadata/key",
    '{"metadata": {"deep": [1, {"er": ["%s"]}]}}': "/metadata/deep/1/er/0",
    '{"metadata": {"%s": 1}}': "/metadata",
    '{"metadata": {"list": [{"a%sb": 1}]}}': "/metadata/list/0",
    '{"%s": 1}': "",
    '{"unknown": ["%s"]}': "/unknown/0",
}


@pytest.mark.parametrize("text", POISON.values(), ids=POISON)
@pytest.mark.parametrize(("document", "pointer"), PLACES.items(), ids=PLACES)
def test_create_conversation_refuses_nul_and_lone_surrogates_anywhere(
    user: httpx.Client, text: str, document: str, pointer: str
) -> None:
    response = user.post("/conversations", content=document % text, headers=JSON)

    assert places(assert_problem(response, 422)) == {f"body:{pointer}"}


@EVERY_OPERATION_WITH_A_BODY
@pytest.mark.parametrize("text", ["\\u0000", "\\ud800"])
def test_every_body_refuses_nul_and_lone_surrogates(
    operation: Operation, user: httpx.Client, rows: Rows, text: str
) -> None:
    document = json.dumps(operation.body(rows) | {"extra": {"key": "HERE"}})

    response = operation.send(user, rows, content=document.replace("HERE", text), headers=JSON)

    assert places(assert_problem(response, 422)) == {"body:/extra/key"}


@pytest.mark.parametrize(
    "text", ['"\\ud83d\\ude00"', '"\\\\u0000"', '"\\uffff\\ufeff"', '"\\u0001"']
)
def test_create_conversation_keeps_text_that_only_looks_alike(
    user: httpx.Client, text: str
) -> None:
    response = user.post("/conversations", content=f'{{"metadata": {{"a": {text}}}}}', headers=JSON)

    assert response.status_code == 201, response.text
    assert response.json()["metadata"]["a"] == json.loads(text)


TOO_LARGE = {
    str(2**64): 2**64,
    str(-(2**63) - 1): -(2**63) - 1,
    "5000 digits": "9" * 5000,
    "minus 5000 digits": "-" + "9" * 5000,
    "1e400": "1e400",
    "-1E+400": "-1E+400",
    "5000 digits and a point": "9" * 5000 + ".5",
}


@pytest.mark.parametrize("number", TOO_LARGE.values(), ids=TOO_LARGE)
@pytest.mark.parametrize(
    ("document", "pointer"),
    {
        '{"metadata": {"a": [%s]}}': "/metadata/a/0",
        '{"title": %s}': "/title",
        '{"extra": %s}': "/extra",
        '{"metadata": {"a\\u0000b": %s}}': "/metadata",
        '{"metadata": {"a\\ud800b": %s}}': "/metadata",
    }.items(),
    ids=["nested", "where text belongs", "in what is ignored", "under NUL", "under a surrogate"],
)
def test_create_conversation_refuses_numbers_that_do_not_fit(
    user: httpx.Client, number: object, document: str, pointer: str
) -> None:
    response = user.post("/conversations", content=document % number, headers=JSON)

    found = places(assert_problem(response, 422))
    assert f"body:{pointer}" in found
    assert len(found) <= 2


@pytest.mark.parametrize(
    "number", [2**64 - 1, -(2**63), 2**53 + 1, 1e308, 5e-324, 0.1, -0.0, 1e22, 123456789.125]
)
def test_create_conversation_keeps_numbers_that_fit(user: httpx.Client, number: float) -> None:
    made = user.post("/conversations", json={"metadata": {"number": number}})

    assert made.status_code == 201, made.text
    assert made.json()["metadata"] == {"number": number}
    again = user.get(made.headers["location"], params={"include_messages": False})
    assert again.json()["metadata"] == {"number": number}


def nested(levels: int, innermost: str = "") -> str:
    """Return a body of just so many levels: the body's own object and metadata are two of them."""
    return '{"metadata": {"a": ' + "[" * (levels - 2) + innermost + "]" * (levels - 2) + "}}"


@pytest.mark.parametrize("innermost", ["", "1", '"text"', '"\\u0041"'])
def test_create_conversation_keeps_100_levels(user: httpx.Client, innermost: str) -> None:
    document = nested(100, innermost)

    made = user.post("/conversations", content=document, headers=JSON)

    assert made.status_code == 201, made.text
    again = user.get(made.headers["location"])
    assert again.json()["metadata"] == json.loads(document)["metadata"]
    assert user.get("/conversations").status_code == 200


@pytest.mark.parametrize("levels", [101, 102, 128, 129, 500, 1024, 1025, 2000, 100_000])
@pytest.mark.parametrize("innermost", ["", "1"])
def test_create_conversation_refuses_more_than_100_levels(
    user: httpx.Client, levels: int, innermost: str
) -> None:
    response = user.post("/conversations", content=nested(levels, innermost), headers=JSON)

    problem = assert_problem(response, 422)
    assert {error["in"] for error in problem["errors"]} == {"body"}
    assert len(response.content) < 10_000


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_create_conversation_survives_what_only_opens(user: httpx.Client, opening: str) -> None:
    response = user.post("/conversations", content=opening * 100_000, headers=JSON)

    assert response.status_code in (400, 422)
    assert_problem(response, response.status_code)


def test_create_conversation_takes_the_last_of_two_equal_keys(user: httpx.Client) -> None:
    response = user.post("/conversations", content='{"title": "a", "title": "b"}', headers=JSON)

    assert response.json()["title"] == "b"


# Bodies: what breaks the schema


BROKEN: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("create_conversation", {"title": ""}, {"/title": "must have at least 1 characters"}),
    ("create_conversation", {"title": "a" * 256}, {"/title": "must have at most 255 characters"}),
    ("create_conversation", {"source": 5}, {"/source": "must be of type "}),
    ("create_conversation", {"is_private": "true"}, {"/is_private": "must be of type "}),
    ("create_conversation", {"metadata": []}, {"/metadata": "must be of type "}),
    ("create_conversation", {"title": 1, "model": 2}, {"/title": "must", "/model": "must"}),
    ("update_conversation", {"agent_id": ""}, {"/agent_id": "must have at least 1 characters"}),
    ("create_message", {}, {"/role": "is required", "/content": "is required"}),
    ("create_message", {"role": "tool"}, {"/role": "must be one of: user, assistant, system"}),
    ("create_message", {"role": None}, {"/role": "must "}),
    ("create_message", {"content": None}, {"/content": "must be of type string"}),
    ("create_message", {"attachments": {}}, {"/attachments": "must be of type "}),
    ("create_message", {"attachments": [{"name": "a"}]}, {"/attachments/0/url": "is required"}),
    ("create_message", {"run_id": "7"}, {"/run_id": "must be a uuid"}),
    ("create_message", {"tool_calls": [1]}, {"/tool_calls/0": "must be of type object"}),
    ("create_message", {"routing_decision": []}, {"/routing_decision": "fits none "}),
    ("create_run", {}, {"/agent_id": "is required"}),
    ("create_run", {"status": "succeeded"}, {"/status": "must be one of: pending, running"}),
    ("create_run", {"conversation_id": "7"}, {"/conversation_id": "must be a uuid"}),
    ("update_run", {"status": "done"}, {"/status": "must be one of: pending, running, "}),
    ("update_run", {"output": "done"}, {"/output": "must be of type "}),
    ("update_chat_settings", {"temperature": 2.1}, {"/temperature": "must be at most 2"}),
    ("update_chat_settings", {"temperature": True}, {"/temperature": "must be of type "}),
    ("update_chat_settings", {"max_tokens": 0}, {"/max_tokens": "must be at least 1"}),
    ("update_chat_settings", {"max_tokens": 1.5}, {"/max_tokens": "must be of type "}),
    ("update_chat_settings", {"enabled_tools": [""]}, {"/enabled_tools/0": "must have"}),
    ("update_chat_settings", {"enabled_agents": ["x"]}, {"/enabled_agents/0": "must be a uuid"}),
]
COMPLETE = {"create_message": {"role": "user", "content": "Hello"}, "create_run": {"agent_id": "a"}}


@pytest.mark.parametrize(("operation_id", "body", "wrong"), BROKEN, ids=str)
def test_a_422_points_at_what_is_wrong_and_says_what_is_right(
    user: httpx.Client, rows: Rows, operation_id: str, body: dict[str, Any], wrong: dict[str, str]
) -> None:
    operation = next(o for o in WITH_BODY if o.operation_id == operation_id)
    whole = COMPLETE.get(operation_id, {}) | body if body else {}

    problem = assert_problem(operation.send(user, rows, json=whole), 422)

    found = {error["pointer"]: error["detail"] for error in problem["errors"]}
    for pointer, detail in wrong.items():
        assert found[pointer].startswith(detail)
    assert all(error["in"] == "body" for error in problem["errors"])
    assert all(pointer.startswith(tuple(wrong)) or body.get("attachments") for pointer in found)


def test_a_pointer_escapes_slashes_and_tildes(user: httpx.Client) -> None:
    response = user.post(
        "/conversations", content='{"metadata": {"a/b~c": "\\u0000"}}', headers=JSON
    )

    assert places(assert_problem(response, 422)) == {"body:/metadata/a~1b~0c"}


def test_no_error_repeats_what_was_sent(user: httpx.Client, rows: Rows) -> None:
    secret = "hunter2"
    long = secret * 50
    bodies: list[tuple[str, str, Any]] = [
        ("POST", "/conversations", {"title": long, "source": long, "metadata": long}),
        ("POST", "/conversations", {"is_private": secret, "agent_id": [secret]}),
        ("POST", "/conversations", secret),
        ("POST", "/runs", {"agent_id": long, "status": secret, "conversation_id": secret}),
        ("PATCH", f"/runs/{rows['run_id']}", {"status": secret, "output": [secret]}),
        ("PUT", "/users/me/chat-settings", {"model": long, "enabled_agents": [secret]}),
        (
            "POST",
            f"/conversations/{rows['conversation_id']}/messages",
            {"role": secret, "content": [secret], "attachments": [secret], "tool_calls": secret},
        ),
    ]
    answers = [user.request(method, path, json=body) for method, path, body in bodies]
    answers += [
        user.get("/conversations", params={name: long})
        for name in ("limit", "order", "order_by", "source", "agent_id", "cursor")
    ]
    answers += [user.get(f"/runs/{secret}"), user.get("/runs", params={"status": secret})]

    for answer in answers:
        assert_problem(answer, 422)
        assert secret not in answer.text


def test_a_body_with_a_thousand_mistakes_names_some_of_them(user: httpx.Client) -> None:
    response = user.put("/users/me/chat-settings", json={"enabled_agents": ["x"] * 1000})

    assert 1 <= len(assert_problem(response, 422)["errors"]) <= 100


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(), max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)


def is_kept(value: Any) -> bool:
    """Tell whether the contract promises to keep `value`: no NUL, no surrogate, no wide number."""
    match value:
        case str():
            return not re.search("[\0\ud800-\udfff]", value)
        case bool() | None:
            return True
        case int():
            return -(2**63) <= value < 2**64
        case float():
            return abs(value) < float("inf")
        case list():
            return all(map(is_kept, value))
        case _:
            return all(map(is_kept, [*value, *value.values()]))


@EVERY_OPERATION_WITH_A_BODY
@given(data=st.data())
@PROPERTY
def test_any_document_is_taken_or_refused(
    operation: Operation, user: httpx.Client, rows: Rows, data: st.DataObject
) -> None:
    schema = st.sampled_from(
        sorted({*operation.example, *COMPLETE.get(operation.operation_id, {})})
    )
    changed = data.draw(st.dictionaries(schema, JSON_VALUES, max_size=3))
    document = data.draw(JSON_VALUES | st.just(operation.body(rows) | changed))

    response = operation.send(user, rows, content=json.dumps(document), headers=JSON)

    assert response.status_code in {operation.success, 400, 409, 422}, response.text
    assert response.status_code in operation.statuses
    if response.status_code in (400, 422) and document == operation.body(rows):
        pytest.fail(response.text)


def is_same(sent: Any, got: Any) -> bool:
    """Compare JSON: a number with a point or an exponent is the same in any other notation."""
    match sent:
        case float():
            return isinstance(got, int | float) and sent == float(got)
        case dict():
            return sent.keys() == got.keys() and all(is_same(sent[k], got[k]) for k in sent)
        case list():
            return len(sent) == len(got) and all(map(is_same, sent, got))
        case _:
            return type(sent) is type(got) and bool(sent == got)


@given(metadata=st.dictionaries(st.text(st.characters(), max_size=10), JSON_VALUES, max_size=4))
@PROPERTY
def test_create_conversation_keeps_what_it_takes(
    user: httpx.Client, metadata: dict[str, Any]
) -> None:
    content = json.dumps({"metadata": metadata})

    response = user.post("/conversations", content=content, headers=JSON)

    if is_kept(metadata):
        assert response.status_code == 201, response.text
        assert is_same(metadata, response.json()["metadata"])
    else:
        assert_problem(response, 422 if is_json(content) else 400)


def is_json(text: str) -> bool:
    """Tell whether `text` is JSON, which has no NaN and no Infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


def test_an_answer_about_long_keys_is_short(user: httpx.Client) -> None:
    values = ["\x00"] * 60

    response = user.post("/conversations", json={"metadata": {"k" * 100_000: values}})

    problem = assert_problem(response, 422)
    assert {error["pointer"] for error in problem["errors"]} == {"/metadata"}
    assert len(response.content) < 10_000


# The order of checks


def test_the_checks_come_in_the_documented_order(small_server: Server) -> None:
    too_much = b"{" * (SMALL + 1)
    with small_server.client("someone") as client:
        token = client.headers["Authorization"]
        hers = make_rows(client)["conversation_id"]

        def send(path: str, *, method: str = "PATCH", **options: Any) -> int:
            url = small_server.url + path
            return httpx.request(method, url, verify=False, **options).status_code

        someone, other = {"Authorization": token}, {"Authorization": f"Bearer {sign('other')}"}
        everything_wrong: dict[str, Any] = {"content": too_much}
        assert send("/conversation/x", **everything_wrong) == 404
        assert send("/conversations/x", method="PUT", **everything_wrong) == 405
        assert send("/conversations/x", **everything_wrong) == 401
        assert send("/conversations/x", headers=someone, content=too_much) == 422
        path = f"/conversations/{NOWHERE}"
        assert send(path, headers=someone, content=too_much) == 415
        assert send(path, headers=someone | JSON, content=too_much) == 413
        assert send(path, headers=someone | JSON, content=b"{") == 400
        assert send(path, headers=someone | JSON, content=b'{"title": ""}') == 422
        assert send(path, headers=someone | JSON, content=b"{}") == 404
        path = f"/conversations/{hers}"
        assert send(path, headers=other | JSON, content=b'{"title": ""}') == 422
        assert send(path, headers=other | JSON, content=b"{}") == 403
        assert send(path, headers=someone | JSON, content=b"{}") == 200


# Request ids


@pytest.mark.parametrize("given_id", ["a", "a" * 128, "b2c3~._+/=:-Z", NOWHERE])
@pytest.mark.parametrize("path", ["/healthz", "/conversations", "/nothing", "/docs"])
def test_a_request_id_comes_back_on_every_answer(
    anonymous: httpx.Client, path: str, given_id: str
) -> None:
    response = anonymous.get(path, headers={"X-Request-Id": given_id})

    assert response.headers.get_list("x-request-id") == [given_id]


@pytest.mark.parametrize("path", ["/healthz", "/conversations", "/nothing", "/docs"])
@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"X-Request-Id:"],
        [b"X-Request-Id: " + b"a" * 129],
        [b"X-Request-Id: two words"],
        [b"X-Request-Id: \xc3\xbc"],
        [b"X-Request-Id: <script>"],
        [b'X-Request-Id: {"a": 1}'],
        [b"X-Request-Id: one", b"X-Request-Id: two"],
    ],
    ids=repr,
)
def test_a_request_id_that_is_missing_or_odd_is_made_anew(
    server: Server, path: str, lines: list[bytes]
) -> None:
    first = ask(server, head(f"GET {path}", *lines))
    second = ask(server, head(f"GET {path}", *lines))

    made = [answer.headers["x-request-id"] for answer in (first, second)]
    assert re.fullmatch("[A-Za-z0-9._~+/=:-]{1,128}", made[0])
    assert made[0] != made[1]
    assert not any(made[0].encode() in line for line in lines)


def test_a_request_id_stands_in_the_log(server: Server, anonymous: httpx.Client) -> None:
    request_id = f"test-{uuid.uuid4()}"

    anonymous.get("/healthz", headers={"X-Request-Id": request_id})

    deadline = time.monotonic() + 10
    while request_id not in server.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# The contract and its page


def test_the_contract_is_served_as_it_stands_in_the_file(anonymous: httpx.Client) -> None:
    as_yaml = anonymous.get("/openapi.yaml")

    assert as_yaml.content == TEXT
    assert as_yaml.headers["content-type"].startswith("application/yaml")


def test_the_contract_is_served_as_json_also_after_bodies_were_checked(
    anonymous: httpx.Client, user: httpx.Client
) -> None:
    assert user.post("/conversations", json={}).status_code == 201
    assert user.post("/conversations", json={"title": 1}).status_code == 422

    as_json = anonymous.get("/openapi.json")

    assert as_json.headers["content-type"] == "application/json"
    assert as_json.json() == yaml.safe_load(TEXT)


def test_the_page_works_offline(anonymous: httpx.Client) -> None:
    page = anonymous.get("/docs")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"(https?:)?//\w", page.text.replace("<!doctype", ""))
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) >= 3
    for name in named:
        asset = anonymous.get(urljoin("/docs", name))
        assert asset.status_code == 200, name
        assert asset.content
    script = anonymous.get("/docs/init.js").text
    (contract,) = re.findall(r'url: "([^"]+)"', script)
    assert anonymous.get(urljoin("/docs", contract)).json()["openapi"] == "3.0.3"


def test_the_page_forbids_itself_everything_from_elsewhere(anonymous: httpx.Client) -> None:
    policy = anonymous.get("/docs").headers["content-security-policy"]

    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == ["'self'"]
    assert rules["connect-src"] == ["'self'"]
    assert not [source for sources in rules.values() for source in sources if "http" in source]


@pytest.mark.parametrize("value", ["bytes=0-3", "bytes=999999999-", "bytes=x", "lines=1-2"])
def test_a_range_of_the_contract_is_never_not_found(anonymous: httpx.Client, value: str) -> None:
    response = anonymous.get("/openapi.yaml", headers={"Range": value})

    assert response.status_code in (200, 206, 416)


# Browsers of other origins


def test_other_origins_are_shut_out_by_default(user: httpx.Client) -> None:
    simple = user.get("/conversations", headers={"Origin": ORIGIN})
    preflight = user.options("/conversations", headers=PREFLIGHT)

    assert_problem(preflight, 405)
    for response in (simple, preflight):
        assert not [name for name in response.headers if name.startswith("access-control-")]


PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": (
        "authorization, content-type, idempotency-key, if-match, if-none-match, x-request-id"
    ),
}


def test_a_configured_origin_may_ask(small_server: Server) -> None:
    with small_server.client("browser") as client:
        preflight = client.options("/conversations", headers=PREFLIGHT)
        simple = client.get("/conversations", headers={"Origin": ORIGIN})
        refused = client.get("/conversations", headers={"Origin": ORIGIN, "Authorization": "x"})
        unknown = client.get("/nothing", headers={"Origin": ORIGIN})

    assert preflight.status_code == 200
    assert preflight.headers["x-request-id"]
    allowed = preflight.headers["access-control-allow-methods"].split(", ")
    assert {operation.method for operation in OPERATIONS} <= set(allowed)
    assert simple.status_code == 200
    assert_problem(refused, 401)
    assert_problem(unknown, 404)
    for response in (preflight, simple, refused, unknown):
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in response.headers
    exposed = simple.headers["access-control-expose-headers"].split(", ")
    assert {"ETag", "Location", "X-Request-Id", "WWW-Authenticate", "Retry-After"} <= set(exposed)


def test_any_other_origin_may_not_ask(small_server: Server) -> None:
    with small_server.client("browser") as client:
        other = {"Origin": "https://elsewhere.example.org"}
        preflight = client.options("/conversations", headers=PREFLIGHT | other)
        simple = client.get("/conversations", headers=other)

    assert preflight.status_code == 400
    for response in (preflight, simple):
        assert "access-control-allow-origin" not in response.headers


# Other protocols


def test_a_websocket_is_no_way_around_the_token(server: Server) -> None:
    lines = [
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]

    for path, status in (("/conversations", 401), ("/nothing", 404), ("/healthz", 200)):
        assert ask(server, head(f"GET {path}", *lines, token=False)).status == status


def test_headers_over_the_limit_are_refused(server: Server) -> None:
    answer = ask(server, head("GET /healthz", b"X-Long: " + b"a" * 100_000, token=False))

    assert answer.status == 431
    assert json.loads(answer.content)["type"] == "/problems/headers-too-large"
    assert answer.headers["x-request-id"]


def test_headers_that_never_end_are_refused_on_the_way(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: api\r\n")
        wire.send_again_and_again(b"X-More: " + b"a" * 1000 + b"\r\n")

        assert wire.receive().problem(431)["type"] == "/problems/headers-too-large"
        assert wire.receive_raw(1) == b""


def test_many_requests_on_one_connection_have_a_limit_each(server: Server) -> None:
    request = head("GET /healthz", b"X-Long: " + b"a" * 40_000, token=False)

    with Wire(server) as wire:
        for _ in range(5):
            wire.send(request)
            assert wire.receive().status == 200


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00\x01", b"HELLO\r\n\r\n", b"GET / FTP/1\r\n\r\n"]
)
def test_what_is_no_http_is_a_problem_too(server: Server, raw: bytes) -> None:
    answer = ask(server, raw)

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["type"] == "/problems/bad-request"
    assert answer.headers["x-request-id"]


def test_a_large_wrong_body_is_refused_soon(user: httpx.Client) -> None:
    rows = make_rows(user)
    body = b'{"role":"user","content":"x","attachments":[' + b"0," * 500_000 + b"0]}"

    response = user.post(
        f"/conversations/{rows['conversation_id']}/messages", content=body, headers=JSON
    )

    (error,) = assert_problem(response, 422)["errors"]
    assert error["pointer"].startswith("/attachments")
    assert response.elapsed.total_seconds() < 5  # listing all that is wrong took minutes


def test_every_secured_operation_is_known() -> None:
    """The matrices above are made from these: they must not have become empty."""
    assert len(SECURED) >= 14
    assert len(WITH_BODY) >= 6
    assert len(LISTS) >= 3
