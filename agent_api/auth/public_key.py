"""Reads public keys, and decides which signature algorithms each of them can verify."""

from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

KINDS = "RSA, P-256, P-384, P-521, Ed25519 or Ed448"
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_BY_CURVE = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
_FROM_JWK: dict[str, Any] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
"""Without `oct`, because a key set is public and its secrets could sign tokens."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key, the algorithms that it accepts, and its `kid`, if any.

    The token never chooses the algorithm: it must name one of these (RFC 8725 section 3.1).
    """

    key: Any
    algorithms: tuple[str, ...]
    key_id: str | None = None


def from_pem(pem: bytes) -> VerificationKey:
    """Return a key in PEM format. Raises ValueError unless it is a public key of KINDS."""
    try:
        key = load_pem_public_key(pem)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    algorithms = _algorithms(key)
    if not algorithms:
        raise ValueError(f"not a key of {KINDS}")
    return VerificationKey(key, algorithms)


def from_jwk(jwk: Any) -> VerificationKey | None:
    """Return the key of a JWK (RFC 7517), or None if it cannot verify tokens.

    `use`, `key_ops` and `alg` restrict what it verifies. A private key is not used.
    """
    if not isinstance(jwk, dict) or jwk.get("use") not in ("sig", None):
        return None
    operations, only, key_id = jwk.get("key_ops"), jwk.get("alg"), jwk.get("kid")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    if key_id is not None and not isinstance(key_id, str):
        return None
    try:
        key = _FROM_JWK[jwk["kty"]](jwk)
    except (jwt.PyJWTError, UnsupportedAlgorithm, LookupError, TypeError, ValueError):
        return None  # PyJWT does not check that all members of a key are present
    algorithms = tuple(name for name in _algorithms(key) if only in (name, None))
    return VerificationKey(key, algorithms, key_id) if algorithms else None


def _algorithms(key: Any) -> tuple[str, ...]:
    """Return what a public key can verify (RFC 7518 section 3.1, RFC 8037 section 3.1)."""
    if isinstance(key, RSAPublicKey):
        return _RSA
    if isinstance(key, EllipticCurvePublicKey):
        return _BY_CURVE.get(key.curve.name, ())
    return ("EdDSA",) if isinstance(key, Ed25519PublicKey | Ed448PublicKey) else ()
