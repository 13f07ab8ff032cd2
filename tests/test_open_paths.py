"""Only docs, contract, health checks and links are open to requests without a token."""

import re
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest

from agent_api.app import create_app
from agent_api.pages.app import SHEETS, STATIC
from agent_api.settings import Settings
from tests.contract import CONTRACT, METHODS, NOWHERE, OPERATIONS, TEXT
from tests.servers import SECRET, Server
from tests.wire import ask, head

ASSETS = {"/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/favicon-32x32.png"}
PAGE_FILES = {
    f"/app/{path.relative_to(STATIC).as_posix()}" for path in STATIC.rglob("*") if path.is_file()
} - {"/app/index.html", *(f"/app/{sheet}" for sheet in SHEETS)} | {"/app/styles.css"}
OPEN_PATHS = {
    "/",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/openapi.yaml",
    "/docs",
    "/docs/init.js",
    *ASSETS,
    *PAGE_FILES,
}
"""All open paths. Every addition is public."""

LINKS = "/shared/{secret}"
"""Open to everyone with the secret of a link."""

OTHER_METHODS = ["OPTIONS", "TRACE", "PROPFIND", "QUERY", "PURGE", "LINK", "ACL", "M-SEARCH"]
GUESSES = """
/index.html /favicon.ico /robots.txt /sitemap.xml /crossdomain.xml /.well-known/security.txt
/.well-known/openid-configuration /.env /.git/config /.git/HEAD /.htaccess /.DS_Store /.ssh/id_rsa
/metrics /metrics/ /prometheus /stats /status /server-status /health /live /ready /ping /version
/info /actuator /actuator/env /admin /admin/ /administrator /console /manage /management /internal
/debug /debug/pprof/ /debug/vars /_debug_toolbar /__debugger__
/trace /dump /heapdump /threads /env /config /settings /login /logout /oauth/token /token /jwks
/.well-known/jwks.json /users /users/ /users/me /users/other /users/me/chat-settings/
/api /api/v1 /v1 /v1/conversations /api/conversations /graphql /graphiql /rpc /soap /ws /socket.io/
/swagger /swagger.json /swagger.yaml /swagger-ui /swagger-ui.html /swagger-ui/index.html /ui /ui/
/api-docs /redoc /spec /spec.json /schema /schema.json /openapi /openapi.yml /openapi.json/
/static /static/ /static/openapi.yaml /assets /files /uploads /backup /backup.sql /db /dump.sql
/docs/ /docs/index.html /docs/.. /docs/../ /docs/../conversations /docs/../../etc/passwd /docs/.
/docs/swagger-ui.js /docs/swagger-ui.css.map /docs/package.json /docs/init.js/ /docs/init.js/..
/docs/%2e%2e/conversations /docs/..%2fconversations /docs/%2e%2e%2f%2e%2e%2fetc%2fpasswd
/docs/..%5c..%5cwindows /docs/%252e%252e%252fconversations /docs//etc/passwd /docs/%00 /docs/~root
/app /app/ /app/index.html /app/.. /app/../conversations /app/%2e%2e/conversations /app/vendor
/app/vendor/ /app/vendor/.. /app/..%2findex.html /app/%2e%2e%2f%2e%2e%2fdocs.py /app//main.js
/app/../../docs.py /app/./main.js /app/main.js/ /app/main.js%00 /app/MAIN.JS /app/..%5cdocs.py
/app/vendor/%2e%2e/%2e%2e/docs.py /app//etc/passwd /app/%2fetc%2fpasswd /app/~root
/app/styles /app/.git
/docs;/conversations /docs;x=/../conversations /healthz;/../conversations /healthz/../conversations
/healthz/%2e%2e/conversations /healthz%2f..%2fconversations /healthz%3f/../conversations /healthz/
/./conversations //conversations ///conversations /conversations/ /conversations/. /conversations//
/%2fconversations /%2e/conversations /conversations%2f /conversations%00 /conversations%20
/conversations.json /conversations;.json /Conversations /CONVERSATIONS /readyz/ /readyz.json
/problems /problems/not-found /runs/ /messages /messages/ /conversations%3flimit=1
//healthz /%2e%2e/openapi.yaml /openapi%2ejson/ /../openapi.yaml
""".split()  # noqa: SIM905  # 150 strings in quotes would be 150 lines
PROBLEMS = {"/problems/not-found", "/problems/unauthorized", "/problems/method-not-allowed"}
REFUSED = {401, 404, 405}


def assert_rejected(server: Server, method: str, target: str) -> None:
    """Assert that `target` is rejected without a token, in a short problem document."""
    answer = ask(server, head(f"{method} {target}", b"Content-Length: 0", token=False))

    assert answer.status in REFUSED, (method, target, answer.status, answer.content[:200])
    if method == "HEAD":
        return
    problem = answer.problem(answer.status)
    assert problem["type"] in PROBLEMS
    assert problem.keys() == {"type", "title", "status", "detail"}
    assert len(answer.content) < 300


@pytest.mark.parametrize("path", CONTRACT["paths"])
def test_paths_of_the_contract_require_a_token_except_open_ones(path: str, server: Server) -> None:
    url = re.sub(r"{\w+}", NOWHERE, path)
    shown = {o.method for o in OPERATIONS if o.path == path and not o.secured}
    shown |= {"HEAD"} if "GET" in shown else set()
    assert not shown or path in OPEN_PATHS | {LINKS}

    for method in {*(method.upper() for method in METHODS), *OTHER_METHODS} - shown:
        assert_rejected(server, method, url)


def test_guessed_paths_show_nothing(server: Server, subtests: pytest.Subtests) -> None:
    for target in GUESSES:
        with subtests.test(target):
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                assert_rejected(server, method, target)


@pytest.mark.parametrize("page", ["/docs", "/openapi.json"])
def test_extra_leading_slash_shows_the_same_open_page(page: str, server: Server) -> None:
    plain = ask(server, head(f"GET {page}", token=False))
    doubled = ask(server, head(f"GET /{page}", token=False))

    assert doubled.content == plain.content


@pytest.mark.parametrize("target", ["/", "/?__debugger__=yes&cmd=resource"])
def test_root_shows_the_page_whatever_the_query(target: str, server: Server) -> None:
    page = httpx.get(f"{server.url}/", verify=False)

    for method, content in (("GET", page.content), ("HEAD", b"")):
        answer = ask(server, head(f"{method} {target}", token=False))
        assert (answer.status, answer.content) == (200, content)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for method in ("POST", "OPTIONS"):
        assert_rejected(server, method, target)


def routes() -> list[Any]:
    """Return the Flask routes, which are not in the contract."""
    application: flask.Flask = create_app(Settings(data_dir=Path("/unused"), jwt_secret=SECRET)).app
    return list(application.url_map.iter_rules())


def test_open_paths_are_listed_here() -> None:
    pages = {rule.rule for rule in routes()}
    templates = {page for page in pages if "<" in page}

    assert templates == {"/docs/<name>", "/app/<path:name>"}
    assert pages - templates == OPEN_PATHS - ASSETS - PAGE_FILES - {"/healthz", "/readyz"}


def test_open_paths_are_read_only(server: Server) -> None:
    for path in OPEN_PATHS:
        shown = httpx.get(f"{server.url}{path}", verify=False)
        assert shown.status_code == 200, path
        for method in {"POST", "PUT", "PATCH", "DELETE", *OTHER_METHODS}:
            assert_rejected(server, method, path)

    assert httpx.get(f"{server.url}/openapi.yaml", verify=False).content == TEXT
    assert httpx.get(f"{server.url}/healthz", verify=False).json() == {"status": "ok"}
    assert httpx.get(f"{server.url}/readyz", verify=False).json().keys() == {"status"}
