"""Every response has the security headers, and none names the software of the server."""

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
PAGES = ("/openapi.json", "/openapi.yaml", "/docs/init.js", "/app/main.js", "/nothing", "/app/x")
NOTHING_RUNS = "default-src 'none'; frame-ancestors 'none'"
SOFTWARE = (
    "uvicorn",
    "python",
    "connexion",
    "flask",
    "werkzeug",
    "starlette",
    "postgres",
    "psycopg",
)


def assert_secure(headers: httpx.Headers, *, policy: str = NOTHING_RUNS) -> None:
    """Assert that each security header is present once, with the right value."""
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("referrer-policy") == ["no-referrer"]
    assert headers.get_list("cross-origin-resource-policy") == ["same-origin"]
    assert headers.get_list("content-security-policy") == [policy]
    (caching,) = headers.get_list("cache-control")
    if headers.get("content-type") == "text/event-stream":
        assert caching == "no-store, no-transform"
    else:
        # What a link shows must not be stored, although it has a tag.
        may_be_stored = "etag" in headers and "x-robots-tag" not in headers
        assert caching == ("private, no-cache" if may_be_stored else "no-store")


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_every_operation_sends_the_security_headers(
    operation: Operation, alice: httpx.Client, anonymous: httpx.Client
) -> None:
    rows = make_rows(alice)

    refused = operation.send(anonymous, rows)
    answer = operation.send(alice, rows)
    nowhere = alice.request("TRACE", operation.url(rows))

    is_allowed = operation.tag != "workers"
    assert answer.status_code == (operation.success if is_allowed else 403), answer.text
    assert refused.status_code == (401 if operation.secured else operation.success)
    assert nowhere.status_code == 405
    for response in (answer, refused, nowhere):
        assert_secure(response.headers)


@pytest.mark.parametrize("path", PAGES)
def test_pages_and_unknown_paths_send_the_security_headers(
    path: str, anonymous: httpx.Client
) -> None:
    for method in ("GET", "HEAD", "POST"):
        assert_secure(anonymous.request(method, path).headers)


def test_docs_page_has_its_own_content_security_policy_and_no_opener(
    anonymous: httpx.Client,
) -> None:
    headers = anonymous.get("/docs").headers

    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert_secure(headers, policy=headers["content-security-policy"])
    assert headers["cross-origin-opener-policy"] == "same-origin"


def test_static_files_of_the_docs_page_may_be_cached(anonymous: httpx.Client) -> None:
    headers = anonymous.get("/docs/swagger-ui.css").headers

    assert "max-age=86400" in headers["cache-control"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_static_files_with_a_matching_etag_are_a_304(method: str, anonymous: httpx.Client) -> None:
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
def test_malformed_requests_get_the_security_headers(server: Server, raw: bytes) -> None:
    answer = ask(server, raw)

    assert answer.status in (400, 431)
    assert_secure(httpx.Headers(answer.headers.items()))


def test_headers_that_a_response_already_has_are_kept() -> None:
    own = [(b"cache-control", b"max-age=60"), (b"content-security-policy", b"default-src 'self'")]

    added = dict(response_headers.missing(own))

    assert added == dict(response_headers.ALWAYS)


def test_response_with_an_etag_may_be_cached_privately() -> None:
    added = dict(response_headers.missing([(b"etag", b'"1"')]))

    assert added[b"cache-control"] == b"private, no-cache"


def banners(text: str) -> set[str]:
    """Return the names and versions of the server's software that `text` contains."""
    versions = {part.version for part in distributions() if part.version.count(".") > 1}
    found = {version for version in versions - {__version__} if f"/{version}" in text}
    return found | {name for name in SOFTWARE if name in text.lower()}


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
def test_no_response_names_the_software(server: Server, raw: bytes) -> None:
    answer = ask(server, raw)

    head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    names = {name.lower() for name in answer.headers}
    assert not names & {"server", "via", "x-powered-by", "x-aspnet-version"}
    assert not banners(f"{head}\n{answer.content.decode()}")
    assert not re.search(r"\d+\.\d+\.\d+", answer.content.decode())
