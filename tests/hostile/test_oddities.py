"""Every operation with odd paths, queries, headers and bodies: never a 5xx or a logged error."""

import json
import re
import uuid
from collections.abc import Iterator
from http.client import HTTPException

import pytest

from tests.contract import OPERATIONS, Operation, Rows, make_rows, name_of
from tests.hostile.memory import MIB, peak
from tests.servers import Server, start_server
from tests.wire import Wire, head

pytestmark = pytest.mark.process

DEEP = 100_000
DIGITS = b"9" * 10_000
JSON = b"Content-Type: application/json"


@pytest.fixture(scope="module")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose log and memory are only affected by these requests."""
    with start_server(database_url, tmp_path_factory.mktemp("odd")) as running:
        yield running


def odd_targets(path: str) -> Iterator[str]:
    """Yield request targets that resemble `path`."""
    yield from (f"/{path}", f"/.{path}", f"/x/..{path}", f"{path}/", f"{path}/.", f"{path}/..")
    yield from (f"{path}%2f", f"{path}%5c..", f"{path}%00", f"{path}%0d%0aX:y", f"{path};a=b")
    yield from (f"{path}%ff", f"{path}%c0%af", f"{path}%ed%a0%80", f"{path}%25%32%66", f"{path}%")
    yield from (path.replace("/", "%2f"), path.replace("/", "//"), path.replace("/", "/%2e/"))
    yield from (path.upper(), path[:-1], path + "a" * 8000, "".join(f"%{ord(c):02x}" for c in path))
    yield from (f"http://elsewhere.example{path}", f"//elsewhere.example{path}", f"{path}#part")
    yield re.sub(r"[0-9a-f-]{36}", "..", path)
    yield re.sub(r"[0-9a-f-]{36}", "%00", path)
    yield re.sub(r"[0-9a-f-]{36}", str(2**200), path)


ODD_QUERIES = [
    "",
    "&",
    "=",
    "&&=&=&",
    "limit",
    "limit=",
    "limit=1&limit=1",
    "limit=1;limit=2",
    "limit[]=1",
    "limit=%00",
    "limit=%ff&offset=%c3%28",
    "limit=" + "9" * 10_000,
    "offset=1e400",
    "offset=-0",
    "offset=9223372036854775807",
    "cursor=%00",
    "cursor=" + "A" * 10_000,
    "cursor=W10&cursor=W10",
    "order=asc%20",
    "include_messages=%74rue",
    "message_limit=0x1",
    "a" * 10_000,
    "&".join(["a=1"] * 3000),
    "%",
    "%zz=%zz",
    "limit=\\u0031",
    "?",
]
ODD_LINES = [
    b"Content-Type: application/json; charset=utf-7",
    b"Content-Type: application/json\r\nContent-Type: text/plain",
    b"Content-Type: \xff\xfe",
    b"Content-Type:",
    b"Content-Encoding: gzip",
    b"Transfer-Encoding: gzip, chunked",
    b"X-Request-Id: \xff",
    b"X-Request-Id: a\r\nX-Request-Id: b",
    b"Accept: nonsense",
    b"Accept-Charset: utf-7",
    b"Accept-Encoding: \x80",
    b"Range: bytes=0-0",
    b"Expect: 200-ok",
    b"Connection: close, upgrade, keep-alive",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
    b"Host: elsewhere.example",
    b"X-Forwarded-For: " + b"1.1.1.1, " * 1000,
    b"X-HTTP-Method-Override: DELETE",
    b"Cookie: " + b"a=b; " * 5000,
    b"X-Nul: a\x00b",
    b"X Space: a",
    b": nameless",
    b"X-Folded: a\r\n b",
    b"traceparent: 00-zz-zz-zz",
    b"Prefer: code=500",
    b"\r\n".join(b"X-Many-%d: a" % number for number in range(2000)),
]
ODD_BODIES = [
    b"[" * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"metadata": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    b'{"metadata": {"a": ' + DIGITS + b"}}",
    b'{"metadata": {"a": -' + DIGITS + b"." + DIGITS + b"e" + DIGITS + b"}}",
    b'{"metadata": {"a": 0.' + b"0" * 10_000 + b"1}}",
    b'{"metadata": {"a": 1e-' + DIGITS + b"}}",
    b'{"' + b"a" * 500_000 + b'": 1}',
    b"{" + b",".join(b'"%d": 0' % number for number in range(50_000)) + b"}",
    b'{"title": "a", "title": "b", "role": "user", "role": 1, "content": [], "content": "x"}',
    b'{"title": "\\u0000", "content": "\\u0000", "agent_id": "\\u0000", "model": "\\u0000"}',
    b'{"\\ud800": "\\udfff", "title": "\\ud800", "content": "\\udc00"}',
    b'{"title": "\xed\xa0\x80"}',
    b'{"title": "\x00"}',
    b'\xef\xbb\xbf{"title": "a"}',
    '{"title": "a"}'.encode("utf-16"),
    '{"title": "a"}'.encode("utf-32"),
    '{"title": "ü"}'.encode("latin-1"),
    b'{"title": "' + b"\\ud83d\\ude00" * 80_000 + b'"}',
    b'{"__proto__": {"a": 1}, "constructor": null, "$ref": "#/", "$where": "1"}',
    b"NaN",
    b"-",
    b'"',
    b"\x00" * 1000,
    b"\xff" * 1000,
    b" " * 1_000_000,
]
ODD_STARTS = [
    b"OPTIONS * HTTP/1.1\r\nHost: api\r\n\r\n",
    b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: api\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: api\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET  /healthz HTTP/1.1\r\n\r\n",
    b"get /healthz HTTP/1.1\r\n\r\n",
    b"GET healthz HTTP/1.1\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: api\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: api\r\n\r\n",
    b"GET http:// HTTP/1.1\r\nHost: api\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: api\r\n\r\n",
    b"GET //:99999999/ HTTP/1.1\r\nHost: api\r\n\r\n",
    b"GET ? HTTP/1.1\r\nHost: api\r\n\r\n",
    b"GET / HTTP/1.1\nHost: api\n\n",
    b"GET / HTTP/0.9\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/3.7\r\nHost: api\r\n\r\n",
    b"GET /\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    b"\x00" * 100,
    b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
]


def check(server: Server, raw: bytes) -> None:
    """Assert that the server answers `raw`, and not with a 5xx."""
    with Wire(server) as wire:
        wire.send(raw)
        try:
            answer = wire.receive(raw.partition(b" ")[0].decode("latin-1"), streams=False)
        except HTTPException as error:
            raise AssertionError(f"no response to {raw[:300]!r}: {error!r}") from error
    assert answer.status < 500, (raw[:300], answer.content)
    if answer.status >= 400 and not raw.startswith(b"HEAD"):
        answer.problem(answer.status)
        assert len(answer.content) < 20_000


@pytest.fixture(scope="module")
def user() -> str:
    return f"odd-{uuid.uuid4()}"


@pytest.fixture
def rows(server: Server, user: str) -> Rows:
    """New rows for each operation, because one of them deletes."""
    with server.client(user) as client:
        return make_rows(client)


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_odd_requests_cause_no_server_error(
    operation: Operation, server: Server, rows: Rows, user: str
) -> None:
    method, path = operation.method, operation.url(rows)
    body = json.dumps(operation.body(rows)).encode() if operation.has_body else b""
    length = b"Content-Length: %d" % len(body)

    for target in odd_targets(path):
        check(server, head(f"{method} {target}", JSON, length, user=user) + body)
    for query in ODD_QUERIES:
        check(server, head(f"{method} {path}?{query}", JSON, length, user=user) + body)
    for line in ODD_LINES:
        check(server, head(f"{method} {path}", length, line, user=user) + body)
    for odd in ODD_BODIES if operation.has_body else ODD_BODIES[:2]:
        given = b"Content-Length: %d" % len(odd)
        check(server, head(f"{method} {path}", JSON, given, user=user) + odd)

    assert '"ERROR"' not in server.log.read_text()


def test_input_that_resembles_http_is_answered(server: Server) -> None:
    for raw in ODD_STARTS:
        check(server, raw)


def test_odd_bodies_do_not_leak_memory(server: Server, user: str) -> None:
    requests = [
        head("POST /conversations", JSON, b"Content-Length: %d" % len(odd), user=user) + odd
        for odd in ODD_BODIES
    ]

    with peak(server) as memory:
        for raw in requests * 5:
            check(server, raw)

    assert memory.grown < 150 * MIB
