"""Routes, ids in paths, and methods."""

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
from tests.protocol.cases import EVERY_PATH, case
from tests.servers import Server
from tests.wire import Wire, ask, head

ANY_TEXT = {"path:/user_id"}
"""A user id is any text without control characters."""


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_path_is_a_404_with_or_without_token(server: Server, method: str) -> None:
    paths = [
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
    ]
    for path in paths:
        for token in (True, False):
            with case(path, token):
                answer = ask(server, head(f"{method} {path}", b"Content-Length: 0", token=token))

                assert answer.problem(404)["type"] == "/problems/not-found"


@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_id_with_odd_escapes_is_a_422(operation: Operation, server: Server) -> None:
    for odd in ("%00", "%FF", "%ED%A0%80", "%C3%28", "%zz", "%", "%0A", "%0D%0AX:y", "*", ";a=b"):
        with case(odd):
            path = operation.path.format_map(dict.fromkeys(operation.names, odd))

            answer = ask(server, head(f"{operation.method} {path}", b"Content-Length: 0"))

            wrong = places(answer.problem(422)) - ANY_TEXT
            assert wrong == {f"path:/{name}" for name in operation.names} - ANY_TEXT


@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_id_with_bytes_outside_ascii_is_a_400_or_422(operation: Operation, server: Server) -> None:
    path = operation.path.format_map(dict.fromkeys(operation.names, "é"))

    answer = ask(server, head(f"{operation.method} {path}", b"Content-Length: 0"))

    assert answer.status in (400, 422)
    answer.problem(answer.status)


@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_id_that_is_not_a_uuid_is_a_422(operation: Operation, owner: httpx.Client) -> None:
    for bad in (
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
    ):
        with case(bad):
            ids = dict.fromkeys([*operation.names, "run_id"], quote(bad))
            problem = assert_problem(operation.send(owner, ids), 422)

            assert (
                places(problem) - ANY_TEXT
                == {f"path:/{name}" for name in operation.names} - ANY_TEXT
            )


def test_get_conversation_accepts_escaped_path_and_upper_case_id(
    owner: httpx.Client, kept_rows: Rows
) -> None:
    plain = owner.get(f"/conversations/{kept_rows['conversation_id']}")

    escaped = owner.get(f"/%63onversations/{kept_rows['conversation_id']}")
    capital = owner.get(f"/conversations/{kept_rows['conversation_id'].upper()}")

    assert plain.status_code == 200
    assert escaped.json() == capital.json() == plain.json()


@EVERY_PATH
def test_other_methods_are_a_405_with_all_allowed_methods(
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


def test_pages_refuse_other_methods(anonymous: httpx.Client) -> None:
    for path in ("/openapi.json", "/openapi.yaml", "/docs", "/docs/init.js"):
        with case(path):
            response = anonymous.post(path)

            assert_problem(response, 405)
            assert {"GET", "HEAD"} <= set(response.headers["allow"].split(", "))


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method == "GET"], ids=name_of)
def test_head_equals_get_without_body(
    operation: Operation, owner: httpx.Client, kept_rows: Rows
) -> None:
    got = operation.send(owner, kept_rows)
    headed = operation.send(owner, kept_rows, method="HEAD", whole=True)

    assert headed.status_code == got.status_code == 200
    assert headed.content == b""
    changing = {"date", "x-request-id", "transfer-encoding"}
    assert {k: v for k, v in headed.headers.items() if k not in changing} == {
        k: v for k, v in got.headers.items() if k not in changing
    }


def test_head_of_an_error_has_no_body_and_keeps_the_connection_usable(server: Server) -> None:
    with Wire(server) as wire:
        for path, status in (("/conversations", 401), ("/nothing", 404), ("/healthz", 200)):
            wire.send(head(f"HEAD {path}", token=False))
            assert wire.receive("HEAD").status == status
        wire.send(head("GET /healthz", token=False))
        assert json.loads(wire.receive().content) == {"status": "ok"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unexpected_body_is_skipped(server: Server, method: str) -> None:
    body = b"GET /never HTTP/1.1\r\n\r\n"

    with Wire(server) as wire:
        wire.send(head(f"{method} /runs/{NOWHERE}", b"Content-Length: %d" % len(body)) + body)
        first = wire.receive()
        wire.send(head("GET /healthz"))
        second = wire.receive()

    assert first.status == {"GET": 404, "DELETE": 405}[method]
    assert second.status == 200


def test_contract_has_secured_operations_and_bodies() -> None:
    """Without them many tests would test nothing."""
    assert len(SECURED) >= 14
    assert len(WITH_BODY) >= 6
