"""Forged, broken and misplaced tokens get a 401 from every operation of the contract."""

import base64
import hmac
import json
import socket
import time
from collections.abc import Iterator

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import settings

from tests.attacks import ATTACKS, soon
from tests.contract import NOWHERE, ON_ROWS, SECURED, assert_problem
from tests.forging import AUDIENCE, ISSUER, Provider, bearer, encoded
from tests.identity import KeyServer
from tests.servers import DAY, SECRET, Server, start_server
from tests.target import Request, Target
from tests.tokens import SETTINGS

NOBODYS_ROWS = {name: NOWHERE for operation in ON_ROWS for name in operation.names}
ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
REQUESTS: list[Request] = [
    (
        operation.method,
        operation.url(NOBODYS_ROWS),
        json.dumps(operation.body(NOBODYS_ROWS)) if operation.has_body else "",
    )
    for operation in SECURED
]
"""A request for each operation: method, path and body."""
FEW = [
    next(request for request in REQUESTS if bool(request[2]) is has_body)
    for has_body in (False, True)
]
"""One operation without a body and one with a body."""
REPRESENTATIVE = ("no header", "expired", "another's key", "HS256 with the public key in PEM")


@pytest.fixture(scope="module")
def target(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with socket.create_server(("127.0.0.1", 0)) as ears:
        ears.setblocking(False)
        provider = Provider(elsewhere=f"http://127.0.0.1:{ears.getsockname()[1]}/keys")
        with (
            KeyServer(*provider.keys) as keys,
            start_server(
                database_url,
                tmp_path_factory.mktemp("target"),
                jwt_jwks_url=keys.url,
                jwt_issuer=ISSUER,
                jwt_audience=AUDIENCE,
            ) as server,
            httpx.Client(base_url=server.url, timeout=30, verify=False) as client,
        ):
            yield Target(provider, server, client, ears)


@pytest.mark.parametrize("name", ["rsa", "curve", "edwards"])
def test_unaltered_token_is_accepted(target: Target, name: str) -> None:
    """If this token were refused, the attacks below would prove nothing."""
    token = target.provider.signed(key=getattr(target.provider, name))

    statuses = {
        name: answer.status_code for name, answer in target.send_each(REQUESTS, bearer(token))
    }

    assert len(statuses) == len(SECURED)
    assert not {400, 401, 415} & set(statuses.values()), statuses


def test_every_forged_token_is_refused(target: Target) -> None:
    """The profile `ci` sends each to every operation; all operations use the same check."""
    requests = REQUESTS if settings().max_examples >= 200 else FEW

    assert not target.failures(ATTACKS, requests)


def test_every_operation_refuses_representative_tokens(target: Target) -> None:
    assert not target.failures(REPRESENTATIVE, REQUESTS)


def test_every_operation_refuses_a_token_in_the_query(target: Target) -> None:
    token = target.provider.signed()

    for operation in SECURED:
        query = f"access_token={token}&token={token}&authorization=Bearer%20{token}"
        assert_problem(operation.send(target.client, NOBODYS_ROWS, query=query), 401)


def test_every_operation_refuses_a_token_in_the_body(target: Target) -> None:
    """RFC 6750 section 2.2 lets a form carry the token; this API does not."""
    form = f"access_token={target.provider.signed()}".encode()
    content_type = {"Content-Type": "application/x-www-form-urlencoded"}

    for operation in SECURED:
        response = operation.send(target.client, NOBODYS_ROWS, headers=content_type, content=form)
        assert_problem(response, 401)


def test_token_of_a_megabyte_is_refused(target: Target) -> None:
    padded = target.provider.with_claims(padding="p" * 760_000)
    assert len(padded[0][1]) > 1_000_000

    for operation in SECURED:
        with httpx.Client(base_url=target.server.url, verify=False) as client:
            response = operation.send(client, NOBODYS_ROWS, headers=padded)
        problem = assert_problem(response, 401)
        assert problem["detail"] == "The token is too long: the headers may have 65536 bytes."
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_url_in_a_forged_token_is_not_fetched(target: Target) -> None:
    provider = target.provider
    for parameter in ("jku", "x5u"):
        for kid in ("rsa", "theirs", provider.elsewhere):
            head: dict[str, object] = {parameter: provider.elsewhere, "kid": kid}
            token = provider.signed(key=provider.stranger, head=head)
            assert_problem(target.ask(bearer(token)), 401)
    time.sleep(0.3)

    with pytest.raises(BlockingIOError):
        target.ears.accept()


def test_url_in_a_valid_token_is_ignored(target: Target) -> None:
    head: dict[str, object] = {"jku": target.provider.elsewhere, "x5u": target.provider.elsewhere}

    assert target.user_of(target.provider.signed(head=head)) == "mallory"
    with pytest.raises(BlockingIOError):
        target.ears.accept()


# Unusual tokens that the RFCs allow


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]], ids=repr)
def test_audience_that_includes_the_api_is_accepted(target: Target, audience: object) -> None:
    token = target.provider.signed(target.provider.claims(aud=audience))

    assert target.user_of(token) == "mallory"


def test_clock_difference_of_a_few_seconds_is_accepted(target: Target) -> None:
    for changes in ({"nbf": soon(3)}, {"iat": soon(3)}, {"exp": soon(-1)}):
        token = target.provider.signed(target.provider.claims(**changes))
        assert target.user_of(token) == "mallory"


@pytest.mark.parametrize("value", [2**53, 10**30, 1e18, 4102444800.5], ids=repr)
def test_exp_in_the_far_future_is_accepted(target: Target, value: float) -> None:
    assert target.user_of(target.provider.signed(target.provider.claims(exp=value))) == "mallory"


UNCHECKED_TIMES: dict[str, dict[str, object]] = {
    "iat in the future": {"iat": soon(3600)},
    "iat in the far future": {"iat": 10**30},
    "iat with a fraction": {"iat": soon(-5) + 0.5},
    "iat before 1970": {"iat": -1},
    "iat as text": {"iat": "2026-01-01T00:00:00Z"},
    "auth_time in the future": {"auth_time": soon(3600)},
    "nbf with a fraction": {"nbf": soon(-5) + 0.5},
    "nbf before 1970": {"nbf": -1e9},
    "nbf of now": {"nbf": soon(0)},
    "exp with a fraction": {"exp": soon(DAY) + 0.5},
    "exp before nbf and iat": {"exp": soon(DAY), "nbf": soon(0), "iat": soon(DAY + 300)},
}


@pytest.mark.parametrize("changes", UNCHECKED_TIMES.values(), ids=UNCHECKED_TIMES.keys())
def test_times_that_rfc_7519_does_not_refuse_are_accepted(
    target: Target, changes: dict[str, object]
) -> None:
    assert target.user_of(target.provider.signed(target.provider.claims(**changes))) == "mallory"


@pytest.mark.parametrize("name", ["rsa", "curve", "edwards"])
def test_token_without_kid_is_verified_by_the_keys_of_its_algorithm(
    target: Target, name: str
) -> None:
    key = getattr(target.provider, name)
    head = json.dumps({"alg": key.algorithm}).encode()

    assert target.user_of(target.provider.signed(key=key, head=head)) == "mallory"


@pytest.mark.parametrize("size", [8_200, 10_000, 48_000])
def test_token_of_any_length_that_headers_may_have_is_accepted(target: Target, size: int) -> None:
    """An Entra token with 199 groups has 10,000 characters."""
    groups = ["6f0c27b4-1d4b-4d3a-9a55-4a8c6b1a1234"] * (size * 3 // 4 // 41)
    token = target.provider.signed(target.provider.claims(groups=groups))
    assert size * 0.95 < len(token)

    for _ in range(2):  # the second time from the cache
        assert target.user_of(token) == "mallory"


def test_last_of_two_equal_claims_counts(target: Target) -> None:
    """RFC 7519 section 4: refuse duplicate claims, or use the last one everywhere."""
    claims = json.dumps(target.provider.claims(sub="first")).encode()

    token = target.provider.signed(claims[:-1] + b', "sub": "last"}')

    assert target.user_of(token) == "last"


def test_equivalent_ecdsa_signature_is_accepted_for_the_same_user(target: Target) -> None:
    """On this curve (r, n - s) is as valid as (r, s), so a token must not identify a session."""
    good = target.provider.signed(key=target.provider.curve)
    signing_input, _, signature = good.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    assert decode_dss_signature(encode_dss_signature(r, s)) == (r, s)

    other = encoded(raw[:32] + (ORDER_OF_P256 - s).to_bytes(32)).decode()

    assert target.user_of(f"{signing_input}.{other}") == "mallory"


def test_padded_signature_is_refused_or_means_the_same_user(target: Target) -> None:
    token = target.provider.signed()
    padded = token + "=" * (-len(token.rpartition(".")[2]) % 4)
    assert padded != token

    response = target.ask(bearer(padded))

    assert response.status_code == 401 or response.json()["user_id"] == "mallory"


@pytest.mark.parametrize("sub", ["ü", "😀", "пользователь", "a b", "a/b?c=d", "%00", "' OR 1=1 --"])
def test_sub_is_used_unchanged(target: Target, sub: str) -> None:
    assert target.user_of(target.provider.signed(target.provider.claims(sub=sub))) == sub


@pytest.mark.slow
def test_accepted_token_is_refused_after_its_exp(target: Target) -> None:
    """The cache of accepted tokens ends with exp and its leeway."""
    headers = target.provider.with_claims(exp=soon(-1))
    assert target.ask(headers).status_code == 200

    deadline = time.monotonic() + 15
    while target.ask(headers).status_code == 200:
        assert time.monotonic() < deadline, "the expired token is still accepted"
        time.sleep(0.1)

    assert_problem(target.ask(headers), 401)


# Tokens signed with a shared secret


@pytest.mark.parametrize("secret", [b"", b"secret", b"\0" * 32, b"null", b"None"], ids=repr)
def test_guessed_secret_is_refused(server: Server, secret: bytes) -> None:
    signing_input = encoded({"alg": "HS256"}) + b"." + encoded({"sub": "a", "exp": soon(600)})
    token = signing_input + b"." + encoded(hmac.digest(secret, signing_input, "sha256"))

    response = httpx.get(server.url + SETTINGS, headers=bearer(token), verify=False)

    assert_problem(response, 401)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_other_algorithm_with_the_right_secret_is_refused(server: Server, algorithm: str) -> None:
    token = jwt.encode({"sub": "a", "exp": soon(600)}, SECRET * 2, algorithm)

    response = httpx.get(server.url + SETTINGS, headers=bearer(token), verify=False)

    assert_problem(response, 401)
