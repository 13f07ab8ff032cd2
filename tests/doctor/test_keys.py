"""The keys of tokens: a provider's key set and issuer, a public key, a secret."""

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.examining import examine
from tests.identity import KeyPair, KeyServer, answering
from tests.servers import SECRET, free_port

pytestmark = pytest.mark.process

NO_DATABASE = "postgresql://agent@127.0.0.1:1/agent"
"""Refuses connections at once."""


def trickle(handler: BaseHTTPRequestHandler) -> None:
    """Send a byte per half second, for longer than a fetch may take."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(20):
        try:
            handler.wfile.write(b" ")
        except OSError:  # the client has given up
            return
        time.sleep(0.5)


def test_key_set_is_fetched_and_its_keys_are_listed() -> None:
    with KeyServer(KeyPair("RS256", "one"), KeyPair("ES256", "two")) as keys:
        url = keys.url.replace("127.0.0.1", "user:hunter2@127.0.0.1")
        with_password = examine(jwt_jwks_url=f"{url}?key=hunter2", database_url=NO_DATABASE)["keys"]
        report = examine(
            jwt_jwks_url=keys.url, jwt_jwks_max_age_seconds="60", database_url=NO_DATABASE
        )

    assert report["keys"] == {
        "name": "keys",
        "level": "ok",
        "found": f"2 keys from {keys.url}, kept for 60 s: one (RS256); two (ES256)",
        "advice": None,
    }
    assert f"from {keys.url}: " in with_password["found"], "without password and query"
    assert report["issuer"]["level"] == report["audience"]["level"] == "warning"


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (answering(b"", 404), "HTTP status 404"),
        (answering(b"<html>", 200), "the key set is not JSON"),
        (answering(b'{"keys": []}'), "the key set has no usable keys"),
        (trickle, "the response took too long"),
    ],
    ids=["404", "garbage", "empty", "slow"],
)
def test_key_set_that_cannot_be_used_is_an_error(
    fault: Callable[[BaseHTTPRequestHandler], None], found: str
) -> None:
    with KeyServer() as keys:
        keys.fault = fault
        report = examine(jwt_jwks_url=keys.url, database_url=NO_DATABASE)

    assert report["keys"]["level"] == "error"
    assert report["keys"]["found"] == f"Cannot fetch keys from {keys.url}: {found}"
    assert report.seconds < 20


def test_unreachable_provider_is_an_error() -> None:
    report = examine(jwt_jwks_url=f"http://127.0.0.1:{free_port()}/keys", database_url=NO_DATABASE)

    assert report["keys"]["level"] == "error"
    assert "Connection refused" in report["keys"]["found"]


@pytest.mark.parametrize(
    ("published", "level", "found"),
    [
        ({}, "ok", "and its keys are at AGENT_API_JWT_JWKS_URL"),
        ({"issuer": "{issuer}/"}, "warning", "but the provider calls itself {issuer}/"),
        ({"jwks_uri": "https://other.example/"}, "warning", "are at https://other.example/"),
        ({"issuer": None}, "warning", "but the provider calls itself None"),
        (None, "ok", "not compared: HTTP status 404"),
    ],
    ids=["same", "slash", "other keys", "null", "missing"],
)
def test_issuer_is_compared_with_what_the_provider_publishes(
    published: dict[str, Any] | None, level: str, found: str
) -> None:
    with KeyServer(KeyPair("ES256")) as keys:
        issuer = keys.url.removesuffix("/keys")
        document = json.dumps({"issuer": issuer, "jwks_uri": keys.url} | (published or {}))
        found_at_issuer = answering(
            document.replace("{issuer}", issuer).encode(), 404 if published is None else 200
        )
        jwks = answering(json.dumps({"keys": [key.jwk for key in keys.keys]}).encode())

        def respond(handler: BaseHTTPRequestHandler) -> None:
            (jwks if handler.path == "/keys" else found_at_issuer)(handler)

        keys.fault = respond
        report = examine(jwt_jwks_url=keys.url, jwt_issuer=issuer, database_url=NO_DATABASE)

    assert report["keys"]["level"] == "ok"
    assert report["issuer"]["level"] == level
    assert found.replace("{issuer}", issuer) in report["issuer"]["found"]


def test_public_key_names_its_algorithms_and_another_file_is_an_error(tmp_path: Path) -> None:
    good, bad = tmp_path / "key.pem", tmp_path / "bad.pem"
    good.write_bytes(KeyPair("ES256").pem)
    bad.write_text("no key")

    assert (
        examine(jwt_public_key_file=str(good), database_url=NO_DATABASE)["keys"]["found"]
        == f"{good}: ES256"
    )
    refused = examine(jwt_public_key_file=str(bad), database_url=NO_DATABASE)["keys"]
    assert refused["level"] == "error"
    assert "must be a PEM public key" in refused["found"]


def test_secrets_are_judged_but_not_shown(tmp_path: Path) -> None:
    weak = "hunter2" * 5

    good = examine(jwt_secret=SECRET, database_url=NO_DATABASE)["keys"]
    short = examine(jwt_secret=weak, database_url=NO_DATABASE)["keys"]

    assert good["level"] == "ok"
    assert SECRET not in good["found"]
    assert short["level"] == "warning"
    assert "with only 7 different characters" in short["found"]


def test_development_secret_is_a_warning_and_is_not_created(tmp_path: Path) -> None:
    report = examine(data_dir=str(tmp_path / "new"), database_url=NO_DATABASE)

    assert report["keys"]["level"] == "warning"
    assert "development secret" in report["keys"]["found"]
    assert list(tmp_path.iterdir()) == []


def test_development_secret_that_others_can_read_is_an_error(tmp_path: Path) -> None:
    secret = tmp_path / "jwt-secret"
    secret.write_text("0" * 64)
    secret.chmod(0o644)

    report = examine(data_dir=str(tmp_path), database_url=NO_DATABASE)

    assert report["keys"]["level"] == "error"
    assert f"Other users can read {secret}" in report["keys"]["found"]


def test_issuer_that_is_not_a_url_does_not_stop_the_check() -> None:
    with KeyServer(KeyPair("RS256")) as keys:
        report = examine(jwt_jwks_url=keys.url, jwt_issuer="https://[x", database_url=NO_DATABASE)

    assert report["issuer"]["level"] == "ok"
    assert "not compared" in report["issuer"]["found"]
    assert report["audience"]["level"] == "warning"
