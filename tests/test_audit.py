"""`make audit` with the real pip-audit: vulnerable packages and unreachable sources."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.authority import identity_of
from tests.servers import free_port

ROOT = Path(__file__).parents[1]
AUDIT = ROOT / ".ci" / "audit.py"
LOCK_OF_OURS = (ROOT / "requirements" / "runtime.txt").read_text("utf-8")
LOCKED = dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK_OF_OURS, re.MULTILINE))
"""The locked packages of the server and their versions."""
LOCK = f"some-package==1.0.0 --hash=sha256:{'0' * 64}\nother==2.0 --hash=sha256:{'1' * 64}\n"
ADVISORY = {
    "id": "PYSEC-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "summary": "It opens the door.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "some-package"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0.1"}]}],
        }
    ],
}

Environment = dict[str, str]

pytestmark = [pytest.mark.slow, pytest.mark.process]  # pip-audit takes over a second


class JsonHandler(BaseHTTPRequestHandler):
    """Sends JSON, and logs nothing."""

    def send_json(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
        """Write nothing."""


@contextmanager
def serving(handler: type[JsonHandler]) -> Iterator[str]:
    """Yield the URL of a server whose requests `handler` answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def advisories(status: int, answer: dict[str, Any]) -> Iterator[str]:
    """Imitate OSV: `answer` for some-package, and no vulnerability for others."""

    class Handler(JsonHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_json(status, answer if b"some-package" in asked else {})

    with serving(Handler) as url:
        yield f"{url}/v1/query"


@contextmanager
def pypi(folder: Path, about: Callable[[str, str], dict[str, Any] | None]) -> Iterator[Environment]:
    """Imitate pypi.org behind a proxy; yield the environment variables that lead there.

    `about` returns the document of a package's version, or None for a 404.
    """
    identity = identity_of("pypi.org", folder)

    class Handler(JsonHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            assert self.path == "pypi.org:443"
            self.send_response(200)
            self.end_headers()
            self.connection = identity.server.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)
            self.close_connection = False

        def finish(self) -> None:
            super().finish()
            self.connection.close()

        def do_GET(self) -> None:
            asked = re.fullmatch(r"/pypi/([^/]+)/([^/]+)/json", self.path)
            found = about(asked[1], asked[2]) if asked else None
            if found is None:
                self.send_json(404, {"message": "Not Found"})
            else:
                self.send_json(200, found)

    with serving(Handler) as url:
        yield way_by(url) | {"REQUESTS_CA_BUNDLE": str(identity.trusted)}


def way_by(proxy: str) -> Environment:
    """Return environment variables that send requests for other machines to a proxy."""
    return {
        **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), proxy),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
    }


def audit(
    folder: Path, osv_url: str, lock: str = LOCK, way: Environment | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the audit with OSV at `osv_url`. PyPI can be reached only through `way`."""
    path = folder / "lock.txt"
    path.write_text(lock)
    environment = os.environ | (way or way_by(f"http://127.0.0.1:{free_port()}"))
    environment |= {
        "PIP_AUDIT_OSV_URL": osv_url,
        **dict.fromkeys(("HOME", "XDG_CACHE_HOME"), str(folder)),  # no cache
    }
    return subprocess.run(
        [sys.executable, AUDIT, path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_vulnerability_fails_the_audit(tmp_path: Path) -> None:
    with advisories(200, {"vulns": [ADVISORY]}) as url:
        result = audit(tmp_path, url)

    assert result.returncode == 1
    assert "some-package 1.0.0: PYSEC-2026-1, mended in 1.0.1" in result.stderr
    assert "other" not in result.stderr


def of_a_version(*vulnerabilities: dict[str, Any]) -> dict[str, Any]:
    """Return the part of PyPI's document about a version that the audit reads."""
    return {"info": {"yanked": False}, "urls": [], "vulnerabilities": list(vulnerabilities)}


IN_WERKZEUG = {
    "id": "GHSA-0000-0000-0000",
    "aliases": ["CVE-2026-0001"],
    "details": "It opens the door.",
    "summary": None,
    "fixed_in": ["99.1"],
    "link": "https://osv.dev/vulnerability/GHSA-0000-0000-0000",
    "source": "osv",
    "withdrawn": None,
}
WITHDRAWN = IN_WERKZEUG | {"withdrawn": "2026-02-01T00:00:00Z"}


def audit_of_our_lock(
    folder: Path, about: Callable[[str, str], dict[str, Any] | None]
) -> subprocess.CompletedProcess[str]:
    """Audit the locked packages of the server with PyPI only."""
    with pypi(folder, about) as way:
        return audit(folder, f"http://127.0.0.1:{free_port()}/v1/query", LOCK_OF_OURS, way)


def test_vulnerability_known_to_pypi_is_reported(tmp_path: Path) -> None:
    asked: dict[str, str] = {}

    def about(name: str, version: str) -> dict[str, Any]:
        asked[name] = version
        return of_a_version(*([IN_WERKZEUG] if name == "werkzeug" else []))

    result = audit_of_our_lock(tmp_path, about)

    assert result.returncode == 1, result.stderr
    assert result.stderr == (
        f"audit: werkzeug {LOCKED['werkzeug']}: CVE-2026-0001, mended in 99.1\n"
    )
    assert asked == LOCKED


def test_audit_by_pypi_passes_without_vulnerabilities(tmp_path: Path) -> None:
    result = audit_of_our_lock(tmp_path, lambda name, version: of_a_version(WITHDRAWN))

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        f"audit: {len(LOCKED)} packages, none with a known vulnerability at pypi.\n"
    )


def test_pypi_that_knows_no_package_counts_as_no_answer(tmp_path: Path) -> None:
    """If a mirror answers 404 for all packages, pip-audit finds no vulnerability."""
    result = audit_of_our_lock(tmp_path, lambda name, version: None)

    assert result.returncode == 0, result.stderr
    assert f"no answer from pypi: it knows none of the {len(LOCKED)} packages" in result.stderr
    assert "NOTHING WAS AUDITED" in result.stderr


def test_audit_by_osv_passes_without_vulnerabilities(tmp_path: Path) -> None:
    with advisories(200, {}) as url:
        result = audit(tmp_path, url)

    assert (result.returncode, result.stdout) == (
        0,
        "audit: 2 packages, none with a known vulnerability at osv.\n",
    )


def test_unreachable_sources_are_reported_but_do_not_fail_the_audit(tmp_path: Path) -> None:
    result = audit(tmp_path, f"http://127.0.0.1:{free_port()}/v1/query")

    assert result.returncode == 0, result.stderr
    assert "no answer from pypi" in result.stderr
    assert "no answer from osv" in result.stderr
    assert "NOTHING WAS AUDITED" in result.stderr
    assert result.stdout == ""


def test_source_with_an_error_counts_as_no_answer(tmp_path: Path) -> None:
    with advisories(500, {}) as url:
        result = audit(tmp_path, url)

    assert result.returncode == 0, result.stderr
    assert "NOTHING WAS AUDITED" in result.stderr


@pytest.mark.parametrize("lock", ["some-package==1.0.0\n", "some-package>=1.0 --hash=sha256:00\n"])
def test_unreadable_lock_fails_the_audit(tmp_path: Path, lock: str) -> None:
    with advisories(200, {}) as url:
        result = audit(tmp_path, url, lock)

    assert result.returncode == 1
    assert "NOTHING WAS AUDITED" not in result.stderr
