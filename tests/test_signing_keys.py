"""Tokens are verified by a public key file or by the key set of an identity provider."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.contract import assert_problem
from tests.identity import ALGORITHMS, KeyPair, KeyServer
from tests.servers import Server, free_port, sign, start_server
from tests.tokens import ask, assert_refused

pytestmark = pytest.mark.process

ANSWER_DELAY = 4
"""Seconds. Requests with known keys must not wait that long."""


@pytest.mark.parametrize(
    "algorithm",
    ["RS256", *(pytest.param(name, marks=pytest.mark.slow) for name in ALGORITHMS[1:])],
)
def test_tokens_are_verified_by_a_public_key_file(
    algorithm: str, database_url: str, tmp_path: Path
) -> None:
    key, stranger = KeyPair(algorithm), KeyPair(algorithm)
    others = [KeyPair(other) for other in ALGORITHMS if other != algorithm]
    file = tmp_path / "key.pem"
    file.write_bytes(key.pem)

    with start_server(database_url, tmp_path, jwt_public_key_file=str(file)) as server:
        assert ask(server, key.sign("alice")).json()["user_id"] == "alice"
        assert_refused(ask(server, key.sign("alice", exp=int(time.time()) - 60)))
        assert_refused(ask(server, signed_with_the_public_key(key)))
        for other in (stranger, *others):
            assert_refused(ask(server, other.sign("alice")))


def signed_with_the_public_key(key: KeyPair) -> str:
    """Sign with the public key as an HS256 secret, which a careless server accepts."""
    # PyJWT refuses to make such a token, so it is assembled here.
    algorithm: Any = jwt.get_algorithm_by_name("HS256")
    header, payload, _ = key.sign("alice").split(".")
    header = jwt.utils.base64url_encode(b'{"alg": "HS256", "kid": "first"}').decode()
    signature = algorithm.sign(f"{header}.{payload}".encode(), key.pem)
    return f"{header}.{payload}.{jwt.utils.base64url_encode(signature).decode()}"


def test_tokens_are_verified_by_a_key_set_before_and_after_a_rotation(
    database_url: str, tmp_path: Path
) -> None:
    old, new = KeyPair("RS256", "old"), KeyPair("ES256", "new")
    forged = KeyPair("RS256", "old")

    with (
        KeyServer(old) as keys,
        start_server(database_url, tmp_path, jwt_jwks_url=keys.url) as server,
    ):
        assert ask(server, old.sign("alice")).json()["user_id"] == "alice"
        assert_refused(ask(server, forged.sign("alice")))
        assert_refused(ask(server, signed_with_the_public_key(old)))
        assert_refused(ask(server, sign("alice")))
        assert keys.fetched == 1, "the set is fetched once, not for every token"

        keys.keys = [new]
        wait_until_accepted(server, new)

        assert_refused(ask(server, old.sign("bob")))


def wait_until_accepted(server: Server, key: KeyPair) -> None:
    """Poll, because a key set is not fetched again immediately after the last time."""
    deadline = time.monotonic() + 60
    while ask(server, key.sign("alice")).status_code != 200:
        assert time.monotonic() < deadline, "the new key is still refused"
        time.sleep(0.1)


def test_known_keys_are_accepted_while_the_key_server_is_unreachable(
    database_url: str, tmp_path: Path
) -> None:
    key, unknown = KeyPair("EdDSA"), KeyPair("EdDSA", "unknown")
    port = free_port()
    url = f"http://127.0.0.1:{port}/keys"

    with start_server(database_url, tmp_path, jwt_jwks_url=url) as server:
        too_early = ask(server, key.sign("alice"))
        with KeyServer(key, port=port):
            wait_for_status(server, key, 200)
        afterwards = ask(server, key.sign("bob"))
        never_seen = ask(server, unknown.sign("alice"))

    problem = assert_problem(too_early, 503)
    assert problem["type"] == "/problems/unavailable"
    assert int(too_early.headers["retry-after"]) >= 1
    assert afterwards.status_code == 200
    assert never_seen.status_code in (401, 503)


def wait_for_status(server: Server, key: KeyPair, status: int) -> None:
    """Ask as a new user each time, because accepted tokens are cached."""
    deadline = time.monotonic() + 60
    while ask(server, key.sign(f"user-{time.monotonic_ns()}")).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def answer_with_a_page(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(b"<html>We will be back soon.</html>")


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)


def answer_an_error(request: BaseHTTPRequestHandler) -> None:
    request.send_error(500)


def answer_late(request: BaseHTTPRequestHandler) -> None:
    time.sleep(ANSWER_DELAY)
    answer_an_error(request)


@pytest.mark.parametrize(
    "fault",
    [
        answer_late,
        *(
            pytest.param(fault, marks=pytest.mark.slow)
            for fault in (answer_with_a_page, hang_up, answer_an_error)
        ),
    ],
    ids=lambda fault: fault.__name__,
)
def test_faulty_key_server_affects_only_unknown_keys(
    database_url: str, tmp_path: Path, fault: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    key, unknown = KeyPair("EdDSA"), KeyPair("EdDSA", "unknown")

    with (
        KeyServer(key) as keys,
        start_server(database_url, tmp_path, jwt_jwks_url=keys.url) as server,
        ThreadPoolExecutor(8) as threads,
    ):
        wait_for_status(server, key, 200)
        keys.fault = fault
        time.sleep(2.1)  # the pause between two fetches
        strangers = [threads.submit(ask, server, unknown.sign(f"user-{n}")) for n in range(4)]
        started = time.monotonic()
        known = [ask(server, key.sign(f"known-{number}")) for number in range(4)]
        seconds = time.monotonic() - started
        refused = [stranger.result() for stranger in strangers]

    assert [response.status_code for response in known] == [200] * 4
    assert seconds < ANSWER_DELAY
    for response in refused:
        assert_problem(response, 503)
    assert keys.fetched <= 4
