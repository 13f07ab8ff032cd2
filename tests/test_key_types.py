"""The type of a key decides which signature algorithms it verifies, never the token."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from agent_api.auth.authenticator import Authenticator
from agent_api.auth.verification_keys import MAX_ATTEMPTS
from agent_api.http.problems import Unauthorized
from agent_api.settings import ConfigError, Settings
from tests.forging import encoded
from tests.identity import KeyPair, KeyServer, answering
from tests.servers import SECRET, start_server
from tests.tokens import ask

RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
KEYS = {name: KeyPair(name, name) for name in ("RS256", "ES256", "ES384", "ES512", "EdDSA")}
OWN = {name: RSA if name == "RS256" else (name,) for name in KEYS}
"""The algorithms of each key."""
ALL = (*RSA, "ES256", "ES384", "ES512", "EdDSA")
BARE = [key.jwk_without("alg", "use") for key in KEYS.values()]
"""Public keys as Entra publishes them: without the optional `alg`."""


@contextmanager
def trusting(*jwks: Mapping[str, Any], **settings: Any) -> Iterator[Authenticator]:
    """Return an authenticator that has fetched these keys.

    It is called directly, because a server waits two seconds between two fetches.
    """
    with KeyServer() as provider:
        provider.fault = answering(json.dumps({"keys": jwks}).encode())
        authenticator = Authenticator(
            Settings(data_dir=Path("/unused"), jwt_jwks_url=provider.url, **settings)
        )
        authenticator.keys.fetch()
        yield authenticator


def signed(key: KeyPair, algorithm: str, *, kid: str | None) -> str:
    """Return a token with a correct signature, also if the algorithm is for another curve."""
    head = {"alg": algorithm} | ({} if kid is None else {"kid": kid})
    claims = {"sub": "alice", "exp": int(time.time()) + 600}
    signing_input = encoded(head) + b"." + encoded(claims)
    method: Any = jwt.get_algorithm_by_name(algorithm)
    private: Any = key.private
    if algorithm.startswith("HS"):
        private = key.pem
    signature = method.sign(signing_input, private)
    return (signing_input + b"." + encoded(signature)).decode()


def can_sign(key: KeyPair, algorithm: str) -> bool:
    """Tell whether an attacker can make a signature of this algorithm with this key."""
    family = algorithm[:2].replace("P", "R")
    return family in ("HS", key.algorithm[:2])


def accepts(authenticator: Authenticator, token: str) -> bool:
    try:
        return authenticator.verify(token).user_id == "alice"
    except Unauthorized:
        return False


@pytest.mark.parametrize("with_kid", [True, False])
def test_key_verifies_all_algorithms_of_its_type_and_no_other(with_kid: bool) -> None:
    with trusting(*BARE) as authenticator:
        for name, key in KEYS.items():
            for algorithm in (*ALL, "HS256", "HS384", "HS512"):
                if can_sign(key, algorithm):
                    token = signed(key, algorithm, kid=name if with_kid else None)
                    expected = algorithm in OWN[name]
                    assert accepts(authenticator, token) is expected, (name, algorithm)


def test_alg_of_a_key_restricts_it() -> None:
    for only in RSA:
        with trusting(KEYS["RS256"].jwk | {"alg": only}) as authenticator:
            for algorithm in RSA:
                token = signed(KEYS["RS256"], algorithm, kid="RS256")
                assert accepts(authenticator, token) is (algorithm == only), (only, algorithm)


UNUSABLE: dict[str, dict[str, Any]] = {
    "use for encryption": {"use": "enc"},
    "key_ops without verify": {"key_ops": ["sign", "encrypt"]},
    "key_ops that is text": {"key_ops": "verify"},
    "alg for encryption": {"alg": "RSA-OAEP"},
    "alg none": {"alg": "none"},
    "alg of a secret": {"alg": "HS256"},
    "alg of another type": {"alg": "ES256"},
    "alg that is a list": {"alg": ["RS256"]},
    "kid that is a number": {"kid": 7},
}


@pytest.mark.parametrize("members", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_key_that_is_not_for_verifying_is_ignored(members: dict[str, Any]) -> None:
    unusable = KEYS["RS256"].jwk_without("alg", "use") | members
    with trusting(unusable, KEYS["EdDSA"].jwk) as authenticator:
        for kid in ("RS256", None):
            assert not accepts(authenticator, signed(KEYS["RS256"], "RS256", kid=kid))


def test_use_and_key_ops_for_verifying_are_accepted() -> None:
    for members in ({"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}):
        with trusting(KEYS["ES384"].jwk_without("use") | members) as authenticator:
            assert accepts(authenticator, signed(KEYS["ES384"], "ES384", kid="ES384"))


def test_private_key_and_secret_in_a_key_set_are_ignored() -> None:
    """Everyone who can read the key set could sign with them."""
    method: Any = ECAlgorithm
    private = method.to_jwk(KEYS["ES256"].private, as_dict=True) | {"kid": "ES256"}
    secret = {"kty": "oct", "k": encoded(SECRET.encode()).decode(), "kid": "shared"}
    claims = {"sub": "alice", "exp": int(time.time()) + 600}
    with trusting(private, secret, KEYS["EdDSA"].jwk) as authenticator:
        assert not accepts(authenticator, signed(KEYS["ES256"], "ES256", kid="ES256"))
        for headers in ({"kid": "shared"}, None):
            assert not accepts(authenticator, jwt.encode(claims, SECRET, "HS256", headers))


def test_curve_without_a_jwt_algorithm_is_ignored() -> None:
    private = ec.generate_private_key(ec.SECP256K1())
    method: Any = ECAlgorithm
    jwk = method.to_jwk(private.public_key(), as_dict=True) | {"kid": "k1"}
    key = KeyPair("ES256", "k1")
    key.private = private
    for alg in ({}, {"alg": "ES256"}, {"alg": "ES256K"}):
        with trusting(jwk | alg, KEYS["EdDSA"].jwk) as authenticator:
            for algorithm in ("ES256", "ES256K"):
                assert not accepts(authenticator, signed(key, algorithm, kid="k1"))


def test_ed448_key_verifies_eddsa() -> None:
    key = KeyPair("EdDSA", "448")
    key.private = ed448.Ed448PrivateKey.generate()
    with trusting(key.jwk_without("alg"), KEYS["EdDSA"].jwk) as authenticator:
        for kid in ("448", None):
            assert accepts(authenticator, signed(key, "EdDSA", kid=kid))
        assert not accepts(authenticator, signed(key, "EdDSA", kid="EdDSA"))


# Keys without an id


def test_key_without_kid_verifies_tokens_with_and_without_one() -> None:
    key, stranger = KEYS["ES256"], KeyPair("ES256")
    with trusting(key.jwk_without("kid")) as authenticator:
        for kid in (None, "any", ""):
            assert accepts(authenticator, signed(key, "ES256", kid=kid))
            assert not accepts(authenticator, signed(stranger, "ES256", kid=kid))


def test_each_of_several_keys_without_kid_is_tried() -> None:
    keys = [KeyPair("ES256") for _ in range(MAX_ATTEMPTS)]
    others = [key.jwk_without("kid", "alg") for key in KEYS.values() if key.algorithm != "ES256"]
    one_too_many = KeyPair("ES256")
    jwks = [key.jwk_without("kid") for key in (*keys, one_too_many)]
    with trusting(*others, *jwks) as authenticator:
        for key in keys:
            assert accepts(authenticator, signed(key, "ES256", kid=None))
        assert not accepts(authenticator, signed(one_too_many, "ES256", kid=None))


def test_different_types_of_keys_can_have_the_same_kid() -> None:
    """RFC 7517 section 4.5 allows it."""
    with trusting(*(jwk | {"kid": "same"} for jwk in BARE)) as authenticator:
        for name, key in KEYS.items():
            assert accepts(authenticator, signed(key, name, kid="same"))


def test_wrong_claims_are_refused_also_if_several_keys_are_tried() -> None:
    keys = [KeyPair("EdDSA") for _ in range(3)]
    jwks = [key.jwk_without("kid") for key in keys]
    with trusting(*jwks, jwt_audience="agent-api") as authenticator:
        for key in keys:
            assert not accepts(authenticator, key.sign("alice", aud="other"))
            assert accepts(authenticator, key.sign("alice", aud="agent-api"))


@pytest.mark.process
def test_single_key_without_kid_is_accepted_by_a_server(database_url: str, tmp_path: Path) -> None:
    key = KeyPair("PS256")
    with KeyServer() as provider:
        provider.fault = answering(json.dumps({"keys": [key.jwk_without("kid")]}).encode())
        with start_server(database_url, tmp_path, jwt_jwks_url=provider.url) as server:
            assert ask(server, key.sign("alice")).json()["user_id"] == "alice"


# Key files


@pytest.mark.parametrize("name", KEYS)
def test_key_file_verifies_all_algorithms_of_its_type_and_no_other(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(KEYS[name].pem)
    authenticator = Authenticator(Settings(data_dir=Path("/unused"), jwt_public_key_file=file))

    for algorithm in (*ALL, "HS256", "HS384", "HS512"):
        if can_sign(KEYS[name], algorithm):
            token = signed(KEYS[name], algorithm, kid=None)
            assert accepts(authenticator, token) is (algorithm in OWN[name]), algorithm


def test_key_file_with_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    public = ec.generate_private_key(ec.SECP256K1()).public_key()
    for pem in (public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), b"", b"{}"):
        file.write_bytes(pem)
        with pytest.raises(ConfigError, match="P-384, P-521"):
            Authenticator(Settings(data_dir=Path("/unused"), jwt_public_key_file=file))
