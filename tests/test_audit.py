"""The audit of the locks tells "vulnerable" from "nobody could be asked", with pip-audit itself."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port

AUDIT = Path(__file__).parents[1] / ".ci" / "audit.py"
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

pytestmark = pytest.mark.slow  # each run of pip-audit takes more than a second


@contextmanager
def advisories(status: int, answer: dict[str, Any]) -> Iterator[str]:
    """Serve as OSV does: `answer` for some-package, and nothing for any other."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(answer if b"some-package" in asked else {}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def audit(folder: Path, osv_url: str, lock: str = LOCK) -> subprocess.CompletedProcess[str]:
    """Run the audit where PyPI cannot be reached, and OSV by `osv_url` only."""
    path = folder / "lock.txt"
    path.write_text(lock)
    nowhere = f"http://127.0.0.1:{free_port()}"
    environment = os.environ | {
        "PIP_AUDIT_OSV_URL": osv_url,
        **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), nowhere),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
    }
    return subprocess.run(
        [sys.executable, AUDIT, path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_vulnerability_fails_the_audit(tmp_path: Path) -> None:
    with advisories(200, {"vulns": [ADVISORY]}) as url:
        result = audit(tmp_path, url)

    assert result.returncode == 1
    assert "some-package 1.0.0: PYSEC-2026-1, mended in 1.0.1" in result.stderr
    assert "other" not in result.stderr


def test_no_vulnerability_is_said(tmp_path: Path) -> None:
    with advisories(200, {}) as url:
        result = audit(tmp_path, url)

    assert (result.returncode, result.stdout) == (
        0,
        "audit: 2 packages, none with a known vulnerability at osv.\n",
    )


def test_sources_that_cannot_be_reached_are_said_loudly_and_fail_nothing(tmp_path: Path) -> None:
    result = audit(tmp_path, f"http://127.0.0.1:{free_port()}/v1/query")

    assert result.returncode == 0, result.stderr
    assert "no answer from pypi" in result.stderr
    assert "no answer from osv" in result.stderr
    assert "NOTHING WAS AUDITED" in result.stderr
    assert result.stdout == ""


def test_a_source_that_is_broken_has_not_answered(tmp_path: Path) -> None:
    with advisories(500, {}) as url:
        result = audit(tmp_path, url)

    assert result.returncode == 0, result.stderr
    assert "NOTHING WAS AUDITED" in result.stderr


@pytest.mark.parametrize("lock", ["some-package==1.0.0\n", "some-package>=1.0 --hash=sha256:00\n"])
def test_a_lock_that_cannot_be_read_fails_the_audit(tmp_path: Path, lock: str) -> None:
    with advisories(200, {}) as url:
        result = audit(tmp_path, url, lock)

    assert result.returncode == 1
    assert "NOTHING WAS AUDITED" not in result.stderr


def test_a_source_that_knows_no_package_has_audited_none(tmp_path: Path) -> None:
    """A mirror may answer 404 for all of them, and pip-audit then finds no vulnerability."""
    report = {"dependencies": [{"name": "a", "skip_reason": "Dependency not found on PyPI"}]}
    program = f"import audit, json; print(json.dumps(audit.judge({report!r})))"

    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(AUDIT.parent)},
        capture_output=True,
        text=True,
        check=True,
    )

    vulnerable, unknown, audited, *_ = json.loads(result.stdout)
    assert (vulnerable, unknown, audited) == ([], ["a"], 0)
