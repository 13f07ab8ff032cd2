"""What applies to every request: the order of checks, and request ids."""

import re
import time
import uuid
from typing import Any

import httpx
import pytest

from tests.contract import (
    NOWHERE,
    make_rows,
)
from tests.protocol.cases import JSON, SMALL, case
from tests.servers import Server, sign
from tests.wire import ask, head


def test_checks_run_in_the_documented_order(small_server: Server) -> None:
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


PATHS = pytest.mark.parametrize("path", ["/healthz", "/conversations", "/nothing", "/docs"])


@PATHS
def test_request_id_is_returned_by_every_response(anonymous: httpx.Client, path: str) -> None:
    for request_id in ("a", "a" * 128, "b2c3~._+/=:-Z", NOWHERE):
        response = anonymous.get(path, headers={"X-Request-Id": request_id})

        assert response.headers.get_list("x-request-id") == [request_id]


@PATHS
def test_missing_or_invalid_request_id_is_replaced(server: Server, path: str) -> None:
    invalid: list[list[bytes]] = [
        [],
        [b"X-Request-Id:"],
        [b"X-Request-Id: " + b"a" * 129],
        [b"X-Request-Id: two words"],
        [b"X-Request-Id: \xc3\xbc"],
        [b"X-Request-Id: <script>"],
        [b'X-Request-Id: {"a": 1}'],
        [b"X-Request-Id: one", b"X-Request-Id: two"],
    ]
    for lines in invalid:
        with case(lines):
            request = head(f"GET {path}", *lines)
            first, second = (ask(server, request).headers["x-request-id"] for _ in range(2))

            assert re.fullmatch("[A-Za-z0-9._~+/=:-]{1,128}", first)
            assert first != second
            assert not any(first.encode() in line for line in lines)


def test_request_id_is_logged(server: Server, anonymous: httpx.Client) -> None:
    request_id = f"test-{uuid.uuid4()}"

    anonymous.get("/healthz", headers={"X-Request-Id": request_id})

    deadline = time.monotonic() + 60
    while request_id not in server.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
