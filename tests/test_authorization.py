"""Who gets in: every operation with every kind of token, made from the spec."""

import math
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest

from tests.contract import (
    NOWHERE,
    OPERATIONS,
    SECURED,
    Operation,
    Rows,
    assert_problem,
    name_of,
)
from tests.servers import SECRET, Server, sign, start_server
from tests.tokens import ask, assert_refused, bearer, get

MANY_SECONDS = 600
EVERY_SECURED_OPERATION = pytest.mark.parametrize("operation", SECURED, ids=name_of)


@pytest.fixture(scope="module")
def nobodys_rows() -> Rows:
    """Ids that lead nowhere, for requests that must not get that far."""
    return dict.fromkeys(["conversation_id", "message_id", "run_id"], NOWHERE)


# Every operation times every kind of token


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
