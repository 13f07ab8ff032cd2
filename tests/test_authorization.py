"""Who gets in and what they reach: every operation with every kind of token, made from the spec."""

import math
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.contract import (
    NOWHERE,
    ON_ROWS,
    OPERATIONS,
    SECURED,
    Operation,
    Rows,
    assert_problem,
    make_rows,
    name_of,
    places,
)
from tests.identity import ALGORITHMS, KeyPair, KeyServer
from tests.servers import SECRET, Server, free_port, sign, start_server

MANY_SECONDS = 600
SETTINGS = "/users/me/chat-settings"
EVERY_OPERATION = pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
EVERY_SECURED_OPERATION = pytest.mark.parametrize("operation", SECURED, ids=name_of)
EVERY_OPERATION_ON_A_ROW = pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)


@pytest.fixture
def rows(alice: httpx.Client) -> Rows:
    """One row of each kind, alice's."""
    return make_rows(alice)


@pytest.fixture(scope="module")
def nobodys_rows() -> Rows:
    """Ids that lead nowhere, for requests that must not get that far."""
    return dict.fromkeys(["conversation_id", "message_id", "run_id"], NOWHERE)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ask(server: Server, token: str) -> httpx.Response:
    """Ask for the settings: an operation that needs nothing but a token."""
    return get(server, headers=bearer(token))


def get(server: Server, **options: Any) -> httpx.Response:
    # Without verify=False each call would load the machine's certificates, for plain HTTP.
    return httpx.get(server.url + SETTINGS, timeout=30, verify=False, **options)


def assert_refused(response: httpx.Response) -> None:
    problem = assert_problem(response, 401)
    assert problem["type"] == "/problems/unauthorized"
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


# Every operation times every kind of token


@EVERY_OPERATION
def test_every_operation_answers_the_owner(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    response = operation.send(alice, rows)

    assert response.status_code == operation.success, response.text


@EVERY_SECURED_OPERATION
def test_every_operation_refuses_a_request_without_a_token(
    operation: Operation, anonymous: httpx.Client, nobodys_rows: Rows
) -> None:
    response = operation.send(anonymous, nobodys_rows)

    assert_problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"


@EVERY_SECURED_OPERATION
def test_every_operation_refuses_an_expired_token(
    operation: Operation, anonymous: httpx.Client, nobodys_rows: Rows
) -> None:
    token = sign("alice", seconds=-60)

    response = operation.send(anonymous, nobodys_rows, headers=bearer(token))

    assert_refused(response)


@EVERY_SECURED_OPERATION
def test_every_operation_refuses_a_token_with_a_wrong_signature(
    operation: Operation, anonymous: httpx.Client, nobodys_rows: Rows
) -> None:
    token = sign("alice", secret=SECRET[::-1])

    response = operation.send(anonymous, nobodys_rows, headers=bearer(token))

    assert_refused(response)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if not o.secured], ids=name_of)
def test_an_open_operation_looks_at_no_token(operation: Operation, anonymous: httpx.Client) -> None:
    without = operation.send(anonymous, {})
    with_a_bad_one = operation.send(anonymous, {}, headers=bearer("nonsense"))

    assert without.status_code == with_a_bad_one.status_code == 200


# Whose row it is


@EVERY_OPERATION_ON_A_ROW
def test_every_operation_refuses_another_users_row_and_changes_nothing(
    operation: Operation, alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    before = everything_of(alice, rows)

    response = operation.send(bob, rows)

    problem = assert_problem(response, 403)
    assert problem["type"] == "/problems/forbidden"
    assert everything_of(alice, rows) == before


def everything_of(client: httpx.Client, rows: Rows) -> list[Any]:
    """Return what the reading operations say to the owner of `rows`."""
    reading = [operation for operation in SECURED if operation.method == "GET"]
    return [operation.send(client, rows).json() for operation in reading]


@EVERY_OPERATION_ON_A_ROW
def test_every_operation_says_404_where_there_is_no_row(
    operation: Operation, alice: httpx.Client, nobodys_rows: Rows
) -> None:
    response = operation.send(alice, nobodys_rows)

    problem = assert_problem(response, 404)
    assert problem["type"] == "/problems/not-found"


@pytest.mark.parametrize(
    "operation", [o for o in SECURED if o.method == "GET" and not o.names], ids=name_of
)
def test_what_is_not_on_a_row_shows_nothing_of_another_user(
    operation: Operation, alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    alice.put(SETTINGS, json={"model": "alices-model", "enabled_tools": ["alices-tool"]})
    alices = [*rows.values(), alice.get(SETTINGS).json()["user_id"], "alices-", "A secret of"]

    seen = operation.send(bob, rows).text

    assert not [value for value in alices if value in seen]


def test_list_runs_of_another_users_conversation_is_empty(
    alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    query = {"conversation_id": rows["conversation_id"]}

    assert alice.get("/runs", params=query).json()["total"] == 1
    assert bob.get("/runs", params=query).json()["runs"] == []
    assert bob.get("/runs", params=query).json()["total"] == 0


def test_create_run_for_another_users_conversation_says_no_more_than_for_none(
    bob: httpx.Client, rows: Rows
) -> None:
    hers = bob.post("/runs", json={"agent_id": "a", "conversation_id": rows["conversation_id"]})
    none = bob.post("/runs", json={"agent_id": "a", "conversation_id": NOWHERE})

    assert assert_problem(hers, 422) == assert_problem(none, 422)
    assert places(hers.json()) == {"body:/conversation_id"}


def test_create_message_with_another_users_run_says_no_more_than_with_none(
    bob: httpx.Client, rows: Rows
) -> None:
    conversation = make_rows(bob)["conversation_id"]
    path = f"/conversations/{conversation}/messages"
    message = {"role": "assistant", "content": "It is done."}

    hers = bob.post(path, json=message | {"run_id": rows["run_id"]})
    none = bob.post(path, json=message | {"run_id": NOWHERE})

    assert assert_problem(hers, 422) == assert_problem(none, 422)
    assert places(hers.json()) == {"body:/run_id"}
    assert bob.get(path).json()["total"] == 1


# The user is the token's sub


@pytest.mark.parametrize("user_id", ["a", "a" * 255, "ü" * 255, "😀" * 255, "auth0|5f7c 8ec7"])
def test_a_sub_of_1_to_255_characters_is_the_user(server: Server, user_id: str) -> None:
    response = ask(server, sign(user_id))

    assert response.status_code == 200
    assert response.json()["user_id"] == user_id


@pytest.mark.parametrize(
    "sub",
    [None, "", "a" * 256, "\x00", "line\nbreak", "\x7f", "\x85", "\ud800", 7, True, ["a"], {}],
    ids=repr,
)
def test_any_other_sub_is_refused(server: Server, sub: object) -> None:
    response = ask(server, sign("overwritten", sub=sub))

    assert_refused(response)


# What else is wrong with a token


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"exp": "soon"},
        {"exp": []},
        {"exp": math.inf},
        {"exp": -math.inf},
        {"exp": math.nan},
        {"exp": True},
        {"nbf": 2**40},
        {"nbf": math.inf},
        {"nbf": "later"},
        {"iat": math.inf},
    ],
    ids=lambda claims: "-".join(f"{k}-{str(v)[:12]}" for k, v in claims.items()),
)
def test_a_token_whose_times_do_not_hold_is_refused(server: Server, claims: dict[str, Any]) -> None:
    response = ask(server, sign("alice", **claims))

    assert_refused(response)


def test_a_token_whose_exp_is_text_or_a_fraction_is_no_fault_of_the_server(server: Server) -> None:
    later = time.time() + MANY_SECONDS

    assert ask(server, sign("alice", exp=later)).status_code == 200
    assert ask(server, sign("alice", exp=str(int(later)))).status_code in (200, 401)


def unsigned() -> str:
    return jwt.encode({"sub": "alice", "exp": time.time() + MANY_SECONDS}, "", algorithm="none")


def altered() -> str:
    """Take the signature of one user's token for another's."""
    hers, his = sign("alice").split("."), sign("bob").split(".")
    return ".".join([his[0], his[1], hers[2]])


def critical() -> str:
    """Ask for an extension that nobody knows (RFC 7515 section 4.1.11)."""
    claims = {"sub": "alice", "exp": int(time.time()) + MANY_SECONDS}
    return jwt.encode(claims, SECRET, headers={"crit": ["unknown"], "unknown": True})


def in_another_algorithm() -> str:
    claims = {"sub": "alice", "exp": int(time.time()) + MANY_SECONDS}
    return jwt.encode(claims, SECRET * 2, algorithm="HS512")


def too_long() -> str:
    token = sign("alice", padding="p" * 6200)
    assert len(token) > 8192
    return token


BAD_TOKENS: list[Callable[[], str]] = [
    unsigned,
    altered,
    critical,
    in_another_algorithm,
    too_long,
    lambda: "nonsense",
    lambda: "..",
    lambda: "a.b.c",
    lambda: sign("alice").rpartition(".")[0],
    lambda: sign("alice") + ".more",
    lambda: sign("alice") + " " + sign("alice"),
    lambda: "e30.e30.",
    lambda: "é.ü.ß",
]


@pytest.mark.parametrize("make", BAD_TOKENS, ids=range(len(BAD_TOKENS)))
def test_a_token_that_is_none_of_ours_is_refused(server: Server, make: Callable[[], str]) -> None:
    header = f"Bearer {make()}".encode()

    response = get(server, headers=[(b"Authorization", header)])

    assert_refused(response)


@pytest.mark.parametrize("header", ["", "Bearer", "Basic YTpi", "{}", "Token {}"])
def test_another_scheme_is_refused(server: Server, header: str) -> None:
    headers = {"Authorization": header.format(sign("alice"))}

    response = get(server, headers=headers)

    assert_refused(response)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(server: Server, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {sign('alice')}"}

    assert get(server, headers=headers).status_code == 200


def test_two_authorization_headers_are_refused(server: Server) -> None:
    headers = [("Authorization", f"Bearer {sign(user)}") for user in ("alice", "bob")]

    response = get(server, headers=headers)

    assert_refused(response)


def test_a_token_elsewhere_than_in_the_header_is_not_seen(server: Server) -> None:
    token = sign("alice")

    in_the_query = get(server, params={"access_token": token})
    in_a_cookie = get(server, headers={"Cookie": f"access_token={token}"})

    assert_problem(in_the_query, 401)
    assert_problem(in_a_cookie, 401)


def test_neither_the_answer_nor_the_log_repeats_a_token(server: Server) -> None:
    good, bad = sign(f"alice-{uuid.uuid4()}"), sign("alice", secret=SECRET[::-1])

    answers = [ask(server, good), ask(server, bad)]

    log = server.log.read_text()
    for token in (good, bad):
        signature = token.rpartition(".")[2]
        assert not any(signature in answer.text for answer in answers)
        assert signature not in log


# Issuer and audience


@pytest.fixture(scope="module")
def choosy_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes tokens of one issuer, meant for it."""
    folder = tmp_path_factory.mktemp("choosy")
    with start_server(
        database_url, folder, jwt_issuer="https://id.example.org", jwt_audience="agent-api"
    ) as running:
        yield running


@pytest.mark.parametrize("audience", ["agent-api", ["other", "agent-api"]])
def test_a_token_of_the_issuer_for_this_audience_is_taken(
    choosy_server: Server, audience: object
) -> None:
    token = sign("alice", iss="https://id.example.org", aud=audience)

    assert ask(choosy_server, token).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "agent-api"},
        {"iss": "https://id.example.org"},
        {"iss": "https://id.example.org/", "aud": "agent-api"},
        {"iss": "https://id.example.org", "aud": "agent"},
        {"iss": "https://id.example.org", "aud": []},
        {"iss": "https://id.example.org", "aud": {"agent-api": 1}},
    ],
)
def test_any_other_issuer_or_audience_is_refused(
    choosy_server: Server, claims: dict[str, Any]
) -> None:
    assert_refused(ask(choosy_server, sign("alice", **claims)))


def test_without_configuration_issuer_and_audience_do_not_matter(server: Server) -> None:
    assert ask(server, sign("alice", iss="anyone", aud="anything")).status_code == 200


# Keys of an identity provider


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_public_key_file_verifies_tokens(
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
    """Take the public key for the secret of HS256, which a careless server then does too."""
    # PyJWT does not make such a token, so the library's own parts do.
    algorithm: Any = jwt.get_algorithm_by_name("HS256")
    header, payload, _ = key.sign("alice").split(".")
    header = jwt.utils.base64url_encode(b'{"alg": "HS256", "kid": "first"}').decode()
    signature = algorithm.sign(f"{header}.{payload}".encode(), key.pem)
    return f"{header}.{payload}.{jwt.utils.base64url_encode(signature).decode()}"


def test_a_key_set_verifies_tokens_and_follows_a_rotation(
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
    """Poll: a set that was just fetched is not fetched again at once for a key it did not have."""
    deadline = time.monotonic() + 15
    while ask(server, key.sign("alice")).status_code != 200:
        assert time.monotonic() < deadline, "the new key is never accepted"
        time.sleep(0.1)


def test_known_keys_go_on_while_the_key_server_is_away(database_url: str, tmp_path: Path) -> None:
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
    """Ask as a new user each time, since a token that was accepted once is remembered."""
    deadline = time.monotonic() + 15
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
    time.sleep(3)
    answer_an_error(request)


@pytest.mark.parametrize(
    "fault", [answer_with_a_page, hang_up, answer_an_error, answer_late], ids=lambda f: f.__name__
)
def test_a_faulty_key_server_hinders_only_unknown_keys(
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
        time.sleep(2.1)  # a pause between two fetches, so that the next one is due
        strangers = [threads.submit(ask, server, unknown.sign(f"user-{n}")) for n in range(4)]
        started = time.monotonic()
        known = [ask(server, key.sign(f"known-{number}")) for number in range(4)]
        seconds = time.monotonic() - started
        refused = [stranger.result() for stranger in strangers]

    assert [response.status_code for response in known] == [200] * 4
    assert seconds < 2.5
    for response in refused:
        assert_problem(response, 503)
    assert keys.fetched <= 4
