"""Faulty key sets of an identity provider, and tokens with unknown key ids."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import jwt
import psutil
import pytest

from agent_api.auth.key_set import KeySet, KeysUnavailable
from tests.contract import assert_problem
from tests.forging import encoded
from tests.identity import KeyPair, KeyServer, answering
from tests.servers import SECRET, Server, start_server
from tests.tokens import ask

PAUSE = 2.1
"""Seconds after which the server may fetch the keys again."""


@contextmanager
def trusting(database_url: str, folder: Path, *keys: KeyPair) -> Iterator[tuple[Server, KeyServer]]:
    """Start a server that has fetched the keys of a provider once."""
    with (
        KeyServer(*keys) as provider,
        start_server(database_url, folder, jwt_jwks_url=provider.url) as server,
    ):
        assert ask(server, keys[0].sign("first")).status_code == 200
        assert provider.fetched == 1
        yield server, provider


def endless(request: BaseHTTPRequestHandler) -> None:
    """Send keys until the reader closes the connection, a gigabyte a second."""
    request.send_response(200)
    request.end_headers()
    request.wfile.write(b'{"keys": [')
    try:
        while True:
            request.wfile.write(b'{"kty": "RSA"},' * 100_000)
    except OSError:  # the reader closed the connection
        request.close_connection = True


def trickle(request: BaseHTTPRequestHandler) -> None:
    """Send a byte every 0.1 s, so that no single read times out."""
    request.send_response(200)
    request.end_headers()
    try:
        for _ in range(200):
            request.wfile.write(b" ")
            request.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass
    request.close_connection = True


def trickle_the_headers(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    try:
        for number in range(200):
            request.send_header(f"X-{number}", "and so on")
            request.flush_headers()
            time.sleep(0.1)
    except OSError:
        pass
    request.close_connection = True


@pytest.mark.process
def test_many_unknown_key_ids_cause_few_fetches(database_url: str, tmp_path: Path) -> None:
    key, forger = KeyPair("EdDSA"), KeyPair("EdDSA", "forged")
    with trusting(database_url, tmp_path, key) as (server, provider), ThreadPoolExecutor(8) as pool:
        time.sleep(PAUSE)
        started = time.monotonic()

        def attack(number: int) -> int:
            forger.key_id = f"forged-{number}"
            return ask(server, forger.sign("mallory")).status_code

        statuses = set(pool.map(attack, range(400)))
        seconds = time.monotonic() - started

        assert statuses == {401}
        assert provider.fetched <= 2 + seconds / 2
        assert ask(server, key.sign("alice")).status_code == 200


@pytest.mark.slow
def test_new_key_is_found_while_unknown_key_ids_keep_coming(
    database_url: str, tmp_path: Path
) -> None:
    old, new, forger = KeyPair("EdDSA", "old"), KeyPair("ES256", "new"), KeyPair("EdDSA", "forged")
    with trusting(database_url, tmp_path, old) as (server, provider), ThreadPoolExecutor(2) as pool:
        provider.keys = [old, new]
        flooding = True

        def flood(_: int) -> None:
            while flooding:
                ask(server, forger.sign("mallory"))

        floods = [pool.submit(flood, number) for number in range(2)]
        deadline = time.monotonic() + 60
        try:
            while ask(server, new.sign("alice")).status_code != 200:
                assert time.monotonic() < deadline, "the new key is still refused"
                time.sleep(0.05)
        finally:
            flooding = False
        for ended in floods:
            ended.result()


JWK = KeyPair("RS256", "theirs").jwk


DOCUMENTS = [
    b'{"keys": [{"kty": "oct", "kid": "EdDSA", "crv": "Ed25519", "x": "xh3BPfpKxK0"}]}',
    b'{"keys": [{"kty": "oct", "kid": "1", "alg": "HS256", "k": 1}]}',
    b'{"keys": [{"kty": "RSA", "kid": "1", "alg": "RS256", "e": "AQAB"}]}',
    b'{"keys": [{"kty": "OKP", "kid": "1", "crv": "Ed25519"}]}',
    b'{"keys": [{"kty": "EC", "kid": "1", "crv": "P-256", "x": "AQAB"}]}',
    b'{"keys": [{"kty": "RSA", "kid": "1", "n": "", "e": ""}]}',
    b"",
    b"null",
    b"[]",
    b"7",
    b"{}",
    b'{"keys": null}',
    b'{"keys": []}',
    b'{"keys": {"kid": "theirs"}}',
    b'{"keys": "theirs"}',
    b'{"keys": [null, 7, "theirs", []]}',
    b'{"keys": [{}]}',
    b'{"keys": [{"kty": ["RSA"], "kid": "theirs"}]}',
    b'{"keys": [{"kty": "RSA", "kid": "theirs", "n": "", "e": ""}]}',
    b'{"keys": [{"kty": "RSA", "kid": "theirs", "n": 7, "e": null}]}',
    b'{"keys": [{"kty": "EC", "kid": "theirs", "crv": "P-256", "x": "AA", "y": "AA"}]}',
    b'{"keys": [{"kty": "OKP", "kid": "theirs", "crv": "Ed25519", "x": "AA"}]}',
    json.dumps({"keys": [JWK | {"kid": ["theirs"]}]}).encode(),
    json.dumps({"keys": [JWK | {"kid": {"theirs": 1}}]}).encode(),
    json.dumps({"keys": [JWK | {"alg": ["RS256"]}]}).encode(),
    json.dumps({"keys": [JWK | {"alg": {"RS256": 1}}]}).encode(),
    json.dumps({"keys": [JWK | {"use": ["sig"]}]}).encode(),
    json.dumps({"keys": [JWK | {"use": "enc", "kid": "theirs"}]}).encode(),
    b"[" * 100_000,
    b'{"keys": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"keys": [{"kty": "oct", "kid": ' + b"9" * 5000 + b"}]}",
    b"\xff\xfe\x00",
    b'{"keys": ["\xff"]}',
]


def test_documents_that_are_not_key_sets_provide_no_key() -> None:
    """KeySet is called directly, because a server waits two seconds between two fetches."""
    failures = []
    with KeyServer() as provider:
        for document in DOCUMENTS:
            provider.fault, provider.fetched = answering(document), 0
            keys = KeySet(provider.url, max_age=300)

            keys.fetch()

            if provider.fetched != 1 or not has_no_key(keys, "theirs"):
                failures.append(document[:80])

    assert not failures


def has_no_key(keys: KeySet, key_id: str) -> bool:
    try:
        return not keys.find(key_id)
    except KeysUnavailable:
        return True


def test_valid_keys_among_invalid_ones_are_found() -> None:
    good = KeyPair("EdDSA", "good")
    rubbish = [None, 7, {}, {"kty": "RSA"}, JWK | {"kid": ["theirs"]}, JWK | {"alg": []}]
    with KeyServer() as provider:
        provider.fault = answering(json.dumps({"keys": [*rubbish, good.jwk]}).encode())
        keys = KeySet(provider.url, max_age=300)

        keys.fetch()

        assert [key.key_id for key in keys.find("good")] == ["good"]


@pytest.mark.process
def test_secret_in_a_key_set_is_ignored(database_url: str, tmp_path: Path) -> None:
    """Everyone who can read the key set could sign with the secret."""
    key = KeyPair("EdDSA")
    secret = {"kty": "oct", "kid": "shared", "alg": "HS256", "k": encoded(SECRET.encode()).decode()}
    with trusting(database_url, tmp_path, key) as (server, provider):
        provider.fault = answering(json.dumps({"keys": [key.jwk, secret]}).encode())
        time.sleep(PAUSE)
        claims = {"sub": "mallory", "exp": int(time.time()) + 600}
        token = jwt.encode(claims, SECRET, "HS256", headers={"kid": "shared"})

        assert_problem(ask(server, token), 401)
        assert provider.fetched == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_of_the_key_set_is_not_followed(status: int) -> None:
    """Only the operator decides from where keys are fetched."""
    with KeyServer(KeyPair("EdDSA", "theirs")) as elsewhere, KeyServer() as provider:
        provider.fault = answering(b"", status, Location=elsewhere.url)
        keys = KeySet(provider.url, max_age=300)

        keys.fetch()

        assert provider.fetched == 1
        assert elsewhere.fetched == 0
        assert has_no_key(keys, "theirs")


@pytest.mark.slow
def test_endless_key_set_delays_only_unknown_keys(database_url: str, tmp_path: Path) -> None:
    key, unknown = KeyPair("EdDSA"), KeyPair("EdDSA", "unknown")
    with trusting(database_url, tmp_path, key) as (server, provider), ThreadPoolExecutor(8) as pool:
        memory = psutil.Process(server.process.pid).memory_info().rss
        for fault in (endless, trickle, trickle_the_headers):
            fetched, provider.fault = provider.fetched, fault
            time.sleep(PAUSE)
            started = time.monotonic()
            strangers = [pool.submit(ask, server, unknown.sign(f"user-{n}")) for n in range(8)]
            for number in range(8):
                user = f"{fault.__name__}-{number}"
                assert ask(server, key.sign(user)).status_code == 200
            known_waited = time.monotonic() - started
            for stranger in strangers:
                assert_problem(stranger.result(), 503)
            strangers_waited = time.monotonic() - started

            assert provider.fetched == fetched + 1
            assert known_waited < 4, fault
            assert strangers_waited < 15, fault
        grown = psutil.Process(server.process.pid).memory_info().rss - memory

    assert grown < 64 * 1024 * 1024
