"""Every answer tells browsers and caches to keep out, and none says what the server is made of."""

import re
from importlib.metadata import distributions

import httpx
import pytest

from agent_api import __version__
from agent_api.middleware import response_headers
from tests.contract import OPERATIONS, Operation, make_rows, name_of
from tests.servers import Server
from tests.wire import ask

ORIGIN = "https://chat.example.org"
PAGES = ("/openapi.json", "/openapi.yaml", "/docs/init.js", "/nothing")
NOTHING_RUNS = "default-src 'none'; frame-ancestors 'none'"
MADE_OF = (
    "uvicorn",
    "python",
    "connexion",
    "flask",
    "werkzeug",
    "starlette",
    "postgres",
    "psycopg",
)


def assert_kept_out(headers: httpx.Headers, *, policy: str = NOTHING_RUNS) -> None:
    """Assert that each header stands once, and says what it should."""
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("referrer-policy") == ["no-referrer"]
    assert headers.get_list("cross-origin-resource-policy") == ["same-origin"]
    assert headers.get_list("content-security-policy") == [policy]
    (caching,) = headers.get_list("cache-control")
    assert caching == ("private, no-cache" if "etag" in headers else "no-store")


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_every_operation_keeps_browsers_and_caches_out(
    operation: Operation, alice: httpx.Client, anonymous: httpx.Client
) -> None:
    rows = make_rows(alice)

    refused = operation.send(anonymous, rows)
    answer = operation.send(alice, rows)
    nowhere = alice.request("TRACE", operation.url(rows))

    assert answer.status_code == operation.success, answer.text
    assert refused.status_code == (401 if operation.secured else operation.success)
    assert nowhere.status_code == 405
    for response in (answer, refused, nowhere):
        assert_kept_out(response.headers)


@pytest.mark.parametrize("path", PAGES)
def test_what_is_beside_the_operations_keeps_them_out_too(
    path: str, anonymous: httpx.Client
) -> None:
    for method in ("GET", "HEAD", "POST"):
        assert_kept_out(anonymous.request(method, path).headers)


def test_the_page_has_a_policy_of_its_own_and_no_opener(anonymous: httpx.Client) -> None:
    headers = anonymous.get("/docs").headers

    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert_kept_out(headers, policy=headers["content-security-policy"])
    assert headers["cross-origin-opener-policy"] == "same-origin"


def test_the_pages_large_files_may_be_kept(anonymous: httpx.Client) -> None:
    headers = anonymous.get("/docs/swagger-ui.css").headers

    assert "max-age=86400" in headers["cache-control"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_pages_large_files_are_not_sent_to_who_has_them(
    method: str, anonymous: httpx.Client
) -> None:
    path = "/docs/swagger-ui-bundle.js"
    file = anonymous.get(path)
    tag = file.headers["etag"]

    for known in (tag, f'"another", W/{tag}', "*"):
        answer = anonymous.request(method, path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert answer.headers["cache-control"] == file.headers["cache-control"]
    changed = anonymous.get(path, headers={"If-None-Match": '"another"'})
    assert (changed.status_code, changed.content) == (200, file.content)


@pytest.mark.parametrize(
    "raw", [b"not HTTP at all\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 20_000]
)
def test_what_is_refused_before_it_is_a_request_keeps_them_out_too(
    server: Server, raw: bytes
) -> None:
    answer = ask(server, raw)

    assert answer.status in (400, 431)
    assert_kept_out(httpx.Headers(answer.headers.items()))


def test_an_answer_keeps_what_it_says_itself() -> None:
    own = [(b"cache-control", b"max-age=60"), (b"content-security-policy", b"default-src 'self'")]

    added = dict(response_headers.missing(own))

    assert added == dict(response_headers.ALWAYS)


def test_an_answer_with_an_etag_may_be_kept_by_its_own_reader() -> None:
    added = dict(response_headers.missing([(b"etag", b'"1"')]))

    assert added[b"cache-control"] == b"private, no-cache"


def banners(text: str) -> set[str]:
    """Return what in `text` names a part that the server is made of, or a version of one."""
    versions = {part.version for part in distributions() if part.version.count(".") > 1}
    found = {version for version in versions - {__version__} if f"/{version}" in text}
    return found | {name for name in MADE_OF if name in text.lower()}


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n",
        b"GET /conversations HTTP/1.1\r\nHost: api\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: api\r\n\r\n",
        b"PUT /docs HTTP/1.1\r\nHost: api\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: api\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: api\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 20_000,
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_no_answer_has_a_banner(server: Server, raw: bytes) -> None:
    answer = ask(server, raw)

    head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    names = {name.lower() for name in answer.headers}
    assert not names & {"server", "via", "x-powered-by", "x-aspnet-version"}
    assert not banners(f"{head}\n{answer.content.decode()}")
    assert not re.search(r"\d+\.\d+\.\d+", answer.content.decode())
