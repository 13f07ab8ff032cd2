"""Keys are fetched again before they are too old, and failures have a reason in the log."""

import contextlib
import json
import logging
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from agent_api import __version__
from agent_api.auth.authenticator import Authenticator
from agent_api.auth.key_set import KeySet, KeysUnavailable
from agent_api.settings import Settings
from tests.authority import identity_of
from tests.identity import Fault, KeyPair, KeyServer, answering
from tests.processes import wait_until
from tests.servers import free_port, sign, start_server
from tests.test_key_sets import PAUSE
from tests.tokens import ask, assert_refused

OLD, NEW = KeyPair("ES256", "old"), KeyPair("EdDSA", "new")


@pytest.mark.process
def test_withdrawn_key_is_refused_after_the_maximum_age(database_url: str, tmp_path: Path) -> None:
    """Also for a token that was accepted before, and without a token of another key."""
    settings = {"jwt_jwks_max_age_seconds": "2"}
    with (
        KeyServer(OLD) as provider,
        start_server(database_url, tmp_path, jwt_jwks_url=provider.url, **settings) as server,
    ):
        token = OLD.sign("alice")
        assert ask(server, token).status_code == 200

        provider.keys = [NEW]

        wait_until(lambda: ask(server, token).status_code == 401)
        assert_refused(ask(server, OLD.sign("bob")))


@pytest.mark.slow
def test_accepted_token_is_forgotten_when_its_key_is_withdrawn() -> None:
    with KeyServer(OLD, NEW) as provider:
        authenticator = Authenticator(Settings(data_dir=Path("/unused"), jwt_jwks_url=provider.url))
        authenticator.keys.fetch()
        token = OLD.sign("alice")
        authenticator.verify(token)
        assert authenticator.cached(token) is not None
        time.sleep(PAUSE)

        authenticator.keys.fetch()  # the keys are the same
        assert authenticator.cached(token) is not None
        provider.keys = [NEW]
        time.sleep(PAUSE)
        authenticator.keys.fetch()

        assert authenticator.cached(token) is None


def test_unused_keys_are_too_old_after_the_maximum_age() -> None:
    with KeyServer(OLD) as provider:
        keys = KeySet(provider.url, max_age=0.5)
        keys.fetch()
        assert not keys.must_fetch("old")

        wait_until(lambda: keys.must_fetch("old"))

        assert provider.fetched == 1


@pytest.mark.slow
def test_keys_in_use_are_fetched_in_the_background_before_they_are_too_old() -> None:
    with KeyServer(OLD) as provider:
        keys = KeySet(provider.url, max_age=6)
        keys.fetch()

        def was_renewed() -> bool:
            assert not keys.must_fetch("old")
            assert keys.find("old")
            return provider.fetched == 2

        wait_until(was_renewed)


@pytest.mark.slow
def test_old_keys_stay_valid_while_the_provider_is_unreachable() -> None:
    with KeyServer(OLD) as provider:
        keys = KeySet(provider.url, max_age=PAUSE)
        keys.fetch()
    wait_until(lambda: keys.must_fetch("old"))
    keys.fetch()

    assert keys.find("old")
    assert not keys.must_fetch("old"), "known keys must not wait for a broken provider"
    with pytest.raises(KeysUnavailable):
        keys.find("new")


@pytest.mark.process
def test_each_worker_has_the_keys_before_its_first_request(
    database_url: str, tmp_path: Path
) -> None:
    with (
        KeyServer(OLD) as provider,
        start_server(database_url, tmp_path, "--workers", "2", jwt_jwks_url=provider.url) as server,
    ):
        wait_until(lambda: provider.fetched == 2)
        time.sleep(0.5)  # both responses are read
        provider.close()

        statuses = {ask(server, OLD.sign(f"user-{n}")).status_code for n in range(20)}

    assert statuses == {200}


def test_key_request_names_our_program_and_the_media_type() -> None:
    """Web application firewalls refuse Python's default User-Agent."""
    with KeyServer(OLD) as provider:
        KeySet(provider.url, max_age=300).fetch()

    assert provider.headers["user-agent"] == f"agent-api/{__version__}"
    assert provider.headers["accept"] == "application/jwk-set+json, application/json"


# A response that never ends


def forever(head: bytes, piece: bytes) -> Fault:
    """Send `piece` every 0.05 s until the reader closes the connection."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        with contextlib.suppress(OSError):
            request.wfile.write(head)
            while True:
                request.wfile.write(piece)
                time.sleep(0.05)

    return answer


NEVER_ENDING: dict[str, Fault] = {
    "status line": forever(b"", b"H"),
    "interim responses": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "header": forever(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "chunk size": forever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "body": forever(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
}


@pytest.mark.slow
@pytest.mark.parametrize("part", NEVER_ENDING)
def test_keys_are_fetched_again_after_a_response_that_never_ends(
    part: str, caplog: pytest.LogCaptureFixture
) -> None:
    with KeyServer(OLD) as provider:
        keys = KeySet(provider.url, max_age=300)
        keys.fetch()
        time.sleep(PAUSE)
        provider.fault = NEVER_ENDING[part]
        keys.fetch()
        provider.fault, provider.keys = None, [NEW]

        def is_renewed() -> bool:
            keys.fetch()
            return not keys.must_fetch("new")

        wait_until(is_renewed)

    (record,) = caplog.records
    assert vars(record)["reason"] == "the response took too long"


# The reason in the log


def reason_of(url: str, caplog: pytest.LogCaptureFixture) -> str:
    """Return the reason that is logged if the keys at `url` cannot be fetched."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, "agent_api.auth.key_set"):
        KeySet(url, max_age=300).fetch()
    (record,) = caplog.records
    assert record.getMessage() == "cannot fetch keys"
    reason: str = vars(record)["reason"]
    return reason


FAULTS: dict[str, tuple[Fault, str]] = {
    "refused by a firewall": (answering(b"<html>", 403), "HTTP status 403"),
    "an error": (answering(b"", 502), "HTTP status 502"),
    "a redirect": (
        answering(b"", 302, Location="https://user:secret@id.example.org"),
        "HTTP status 302: set the URL that it redirects to",
    ),
    "a page": (answering(b"<html>secret</html>"), "the key set is not JSON"),
    "no UTF-8": (answering(b"\xff\xfesecret\x00"), "the key set is not JSON"),
    "no keys": (answering(b'{"keys": []}'), "the key set has no usable keys"),
    "an error document": (answering(b'{"error": "secret"}'), "the key set has no usable keys"),
    "keys of an unknown type": (
        answering(json.dumps({"keys": [{"kty": "secret"}]}).encode()),
        "the key set has no usable keys",
    ),
    "too many": (answering(b" " * (1 << 20) + b"{}"), "the key set has more than 1048576 bytes"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_reason_names_what_is_wrong_with_the_response(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer, expected = FAULTS[fault]
    with KeyServer() as provider:
        provider.fault = answer

        assert reason_of(provider.url, caplog) == expected


def test_reason_names_what_is_wrong_with_the_connection(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert "Connection refused" in reason_of(f"http://127.0.0.1:{free_port()}/keys", caplog)
    assert "Errno -" in reason_of("https://name.invalid/keys?code=secret", caplog)  # no such host
    with KeyServer(tls=identity_of("127.0.0.1", tmp_path).server) as provider:
        reason = reason_of(provider.url, caplog)
        assert reason == "TLS certificate: unable to get local issuer certificate"
        reason = reason_of(provider.url.replace("https", "http"), caplog)
        assert "closed connection" in reason or "reset" in reason


@pytest.mark.process
def test_expired_and_invalid_tokens_have_a_reason_in_the_log(
    database_url: str, tmp_path: Path
) -> None:
    refused = {
        "ExpiredSignatureError": sign("alice", seconds=-60),
        "InvalidSignatureError": sign("alice", secret="another secret of more than 32 bytes"),
        "InvalidSubjectError": sign("alice\n"),
        "MissingRequiredClaimError": sign("alice", exp=None),
        "DecodeError": "nonsense",
    }
    with start_server(database_url, tmp_path) as server:
        for token in refused.values():
            assert_refused(ask(server, token))

    written = server.log.read_text().splitlines()
    lines = [json.loads(line) for line in written if line.startswith("{")]

    reasons = [line["reason"] for line in lines if line["message"] == "token refused"]
    assert reasons == list(refused)
    assert all(line["request_id"] for line in lines if line["message"] == "token refused")
