"""Routes and methods: what there is, what there is not, and what is allowed on it."""

import json
import re
from urllib.parse import quote

import httpx
import pytest

from tests.contract import (
    CONTRACT,
    METHODS,
    NOWHERE,
    ON_ROWS,
    OPERATIONS,
    SECURED,
    WITH_BODY,
    Operation,
    Rows,
    assert_problem,
    name_of,
    places,
)
from tests.protocol.matrices import EVERY_PATH
from tests.servers import Server
from tests.wire import Wire, ask, head


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


def test_every_secured_operation_is_known() -> None:
    """The matrices are made from these: they must not have become empty."""
    assert len(SECURED) >= 14
    assert len(WITH_BODY) >= 6
