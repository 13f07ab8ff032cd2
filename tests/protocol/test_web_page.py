"""How the files of the web page are served. What the page does is tested in tests/browser."""

import gzip
import re
from urllib.parse import urljoin

import httpx
import pytest

from agent_api.pages.app import POLICY, SHEETS, STATIC
from tests.contract import assert_problem

MAIN = "/app/main.js"
NAMES = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".LICENSE": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}


def test_page_has_a_strict_content_security_policy(anonymous: httpx.Client) -> None:
    page = anonymous.get("/")

    assert page.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page.text)


def test_page_refers_only_to_files_that_are_served(anonymous: httpx.Client) -> None:
    page = anonymous.get("/")

    references = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"app/main.js", "docs"} <= set(references)
    for reference in references:
        assert not reference.startswith(("/", "http")), "behind a proxy it leads elsewhere"
        assert anonymous.get(urljoin("/", reference)).status_code == 200, reference


def test_styles_are_one_file(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/app/styles.css")

    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.text == "".join((STATIC / sheet).read_text() for sheet in SHEETS)
    assert sorted(SHEETS) == [name for name in NAMES if name.startswith("styles/")]
    assert_problem(anonymous.get(f"/app/{SHEETS[0]}"), 404)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"index.html", *SHEETS}))
def test_each_file_is_served_with_its_media_type(name: str, anonymous: httpx.Client) -> None:
    answer = anonymous.get(f"/app/{name}")

    assert answer.status_code == 200
    assert answer.content == (STATIC / name).read_bytes()
    assert answer.headers["content-type"] == TYPES["." + name.rpartition(".")[2]]


@pytest.mark.parametrize(
    "path", ["/", MAIN, "/app/icon.svg", "/openapi.json", "/docs/swagger-ui.css"]
)
def test_file_is_compressed_if_the_client_accepts_it(path: str, anonymous: httpx.Client) -> None:
    plain = anonymous.get(path, headers={"Accept-Encoding": "identity"})
    with anonymous.stream("GET", path, headers={"Accept-Encoding": "br, gzip"}) as answer:
        raw = b"".join(answer.iter_raw())

    assert "content-encoding" not in plain.headers
    small = len(plain.content) < 500
    assert answer.headers.get("content-encoding") == (None if small else "gzip")
    assert (raw if small else gzip.decompress(raw)) == plain.content
    for headers in (plain.headers, answer.headers):
        assert headers["vary"] == "Accept-Encoding"
    assert (answer.headers["etag"] == plain.headers["etag"]) == small


@pytest.mark.parametrize("path", ["/", MAIN, "/openapi.json"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_file_that_the_client_has_is_a_304(
    path: str, encoding: str, anonymous: httpx.Client
) -> None:
    accepted = {"Accept-Encoding": encoding}
    first = anonymous.get(path, headers=accepted)
    tag = first.headers["etag"]

    again = anonymous.get(path, headers=accepted | {"If-None-Match": tag})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    # A new version of the server is seen at once: each file is asked for again.
    assert first.headers["cache-control"] == again.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("path", ["/", MAIN])
def test_page_can_only_be_read(path: str, anonymous: httpx.Client) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        refused = anonymous.request(method, path)
        assert_problem(refused, 405)
        assert refused.headers["allow"] == "GET, HEAD"
    got, headed = anonymous.get(path), anonymous.head(path)
    assert headed.content == b""
    changing = {"date", "x-request-id"}
    assert {k: v for k, v in headed.headers.items() if k not in changing} == {
        k: v for k, v in got.headers.items() if k not in changing
    }


def test_unknown_file_of_the_page_is_a_404(anonymous: httpx.Client) -> None:
    for name in ("nothing.js", "../docs.py", "%2e%2e/docs.py", "vendor", "x" * 5000):
        assert_problem(anonymous.get(f"/app/{name}"), 404)
