"""Authentication: every operation with missing, invalid and valid tokens."""

import math
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest

from tests.contract import NOWHERE, OPERATIONS, SECURED, Operation, Rows, assert_problem, name_of
from tests.servers import SECRET, Server, sign, start_server
from tests.tokens import ask, assert_refused, bearer, get

MANY_SECONDS = 600


@pytest.mark.parametrize("operation", SECURED, ids=name_of)
def test_every_secured_operation_requires_a_valid_token(
    operation: Operation, anonymous: httpx.Client
) -> None:
    rows = dict.fromkeys(operation.names, NOWHERE)
    expired, forged = sign("alice", seconds=-60), sign("alice", secret=SECRET[::-1])

    without = operation.send(anonymous, rows)

    assert_problem(without, 401)
    assert without.headers["www-authenticate"] == "Bearer"
    for token in (expired, forged):
        assert_refused(operation.send(anonymous, rows, headers=bearer(token)))


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if not o.secured], ids=name_of)
def test_open_operations_ignore_tokens(
    operation: Operation, anonymous: httpx.Client, rows: Rows
) -> None:
    without = operation.send(anonymous, rows)
    with_nonsense = operation.send(anonymous, rows, headers=bearer("nonsense"))

    assert without.status_code == with_nonsense.status_code == 200


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
def test_other_subs_are_rejected(server: Server, sub: object) -> None:
    assert_refused(ask(server, sign("overwritten", sub=sub)))


# Other invalid tokens


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
    ],
    ids=lambda claims: "-".join(f"{k}-{str(v)[:12]}" for k, v in claims.items()),
)
def test_invalid_times_are_rejected(server: Server, claims: dict[str, Any]) -> None:
    assert_refused(ask(server, sign("alice", **claims)))


def test_exp_may_be_a_fraction_and_text_causes_no_server_error(server: Server) -> None:
    later = time.time() + MANY_SECONDS

    assert ask(server, sign("alice", exp=later)).status_code == 200
    assert ask(server, sign("alice", exp=str(int(later)))).status_code in (200, 401)


def unsigned() -> str:
    return jwt.encode({"sub": "alice", "exp": time.time() + MANY_SECONDS}, "", algorithm="none")


def altered() -> str:
    """Return bob's claims with the signature of alice's token."""
    hers, his = sign("alice").split("."), sign("bob").split(".")
    return ".".join([his[0], his[1], hers[2]])


def critical() -> str:
    """Return a token with an unknown critical extension (RFC 7515 section 4.1.11)."""
    claims = {"sub": "alice", "exp": int(time.time()) + MANY_SECONDS}
    return jwt.encode(claims, SECRET, headers={"crit": ["unknown"], "unknown": True})


def in_another_algorithm() -> str:
    claims = {"sub": "alice", "exp": int(time.time()) + MANY_SECONDS}
    return jwt.encode(claims, SECRET * 2, algorithm="HS512")


BAD_TOKENS: list[Callable[[], str]] = [
    unsigned,
    altered,
    critical,
    in_another_algorithm,
    lambda: "nonsense",
    lambda: "..",
    lambda: "a.b.c",
    lambda: sign("alice").rpartition(".")[0],
    lambda: sign("alice") + ".more",
    lambda: sign("alice") + " " + sign("alice"),
    lambda: "e30.e30.",
    lambda: "é.ü.ß",
]


def test_malformed_and_altered_tokens_are_rejected(
    server: Server, subtests: pytest.Subtests
) -> None:
    for token in [make() for make in BAD_TOKENS]:
        with subtests.test(token[:80]):
            assert_refused(get(server, headers=[(b"Authorization", f"Bearer {token}".encode())]))


@pytest.mark.parametrize("header", ["", "Bearer", "Basic YTpi", "{}", "Token {}"])
def test_other_authentication_schemes_are_rejected(server: Server, header: str) -> None:
    assert_refused(get(server, headers={"Authorization": header.format(sign("alice"))}))


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_bearer_is_case_insensitive(server: Server, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {sign('alice')}"}

    assert get(server, headers=headers).status_code == 200


def test_two_authorization_headers_are_rejected(server: Server) -> None:
    headers = [("Authorization", f"Bearer {sign(user)}") for user in ("alice", "bob")]

    assert_refused(get(server, headers=headers))


def test_tokens_in_the_query_and_in_cookies_are_ignored(server: Server) -> None:
    token = sign("alice")

    in_the_query = get(server, params={"access_token": token})
    in_a_cookie = get(server, headers={"Cookie": f"access_token={token}"})

    assert_problem(in_the_query, 401)
    assert_problem(in_a_cookie, 401)


def test_no_token_appears_in_responses_or_logs(server: Server) -> None:
    good, bad = sign(f"alice-{uuid.uuid4()}"), sign("alice", secret=SECRET[::-1])

    answers = [ask(server, good), ask(server, bad)]

    log = server.log.read_text()
    for token in (good, bad):
        signature = token.rpartition(".")[2]
        assert not any(signature in answer.text for answer in answers)
        assert signature not in log


# Issuer and audience


@pytest.fixture(scope="module")
def strict_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that accepts only tokens of one issuer and for one audience."""
    folder = tmp_path_factory.mktemp("strict")
    with start_server(
        database_url, folder, jwt_issuer="https://id.example.org", jwt_audience="agent-api"
    ) as running:
        yield running


@pytest.mark.process
@pytest.mark.parametrize("audience", ["agent-api", ["other", "agent-api"]])
def test_configured_issuer_and_audience_are_accepted(
    strict_server: Server, audience: object
) -> None:
    token = sign("alice", iss="https://id.example.org", aud=audience)

    assert ask(strict_server, token).status_code == 200


@pytest.mark.process
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
def test_other_issuers_and_audiences_are_rejected(
    strict_server: Server, claims: dict[str, Any]
) -> None:
    assert_refused(ask(strict_server, sign("alice", **claims)))


def test_issuer_and_audience_are_ignored_unless_configured(server: Server) -> None:
    assert ask(server, sign("alice", iss="anyone", aud="anything")).status_code == 200
