"""What every request goes through: the order of the checks, and its id."""

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
from tests.protocol.matrices import JSON, SMALL
from tests.servers import Server, sign
from tests.wire import ask, head

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
