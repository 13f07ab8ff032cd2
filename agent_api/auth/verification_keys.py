"""Finds the keys that may have signed a token: a secret, a public key or a provider's key set."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jwt

from agent_api.auth import development_secret, public_key
from agent_api.auth.key_set import KeySet
from agent_api.auth.public_key import VerificationKey
from agent_api.settings import ConfigError, Settings

MAX_ATTEMPTS = 8
"""How many keys are tried for a token whose header does not name one."""


class UnknownKeyError(jwt.InvalidTokenError):
    """The provider does not have the key that the token names."""


class VerificationKeys:
    """The configured keys: a secret, a public key or a provider's key set.

    Calls `on_change` if the provider has changed its keys.
    """

    def __init__(self, settings: Settings, *, on_change: Callable[[], None]) -> None:
        self._key_set: KeySet | None = None
        self._key: VerificationKey | None = None
        if settings.jwt_jwks_url:
            max_age = settings.jwt_jwks_max_age_seconds
            self._key_set = KeySet(settings.jwt_jwks_url, max_age=max_age, on_change=on_change)
        elif settings.jwt_public_key_file:
            self._key = read_public_key(settings.jwt_public_key_file)
        else:
            secret = settings.jwt_secret or development_secret.load_or_create(settings.data_dir)
            self._key = VerificationKey(secret, ("HS256",))

    def find(self, token: str) -> VerificationKey:
        """Return the key that may have signed `token`.

        Raises InvalidTokenError if the provider has none of its id and algorithm, and
        KeysUnavailable if the provider cannot be reached.
        """
        if self._key_set is None:
            assert self._key is not None
            return self._key
        header = _header(token)
        found = self._key_set.find(header.get("kid"))
        if not found:
            raise UnknownKeyError("unknown key id")
        fitting = [key for key in found if header.get("alg") in key.algorithms]
        if not fitting:
            raise jwt.InvalidAlgorithmError("algorithm of another kind of key")
        return fitting[0] if len(fitting) == 1 else _signer(token, header["alg"], fitting)

    def must_fetch(self, token: str) -> bool:
        """Tell whether to call `fetch`, because the key of `token` is not known or too old."""
        if self._key_set is None:
            return False
        try:
            key_id = _header(token).get("kid")
        except (jwt.PyJWTError, ValueError, RecursionError):  # verify() reports the error
            return False
        return self._key_set.must_fetch(key_id)

    def seconds_left(self) -> float:
        """Return how long a token that is verified now may be trusted without asking again."""
        return math.inf if self._key_set is None else self._key_set.seconds_left()

    def prefetch(self) -> None:
        """Begin to get the provider's keys, if there is a provider. Does not wait."""
        if self._key_set is not None:
            self._key_set.start_fetch()

    def fetch(self) -> None:
        """Get the provider's current keys. Blocks for up to FETCH_SECONDS."""
        assert self._key_set is not None
        self._key_set.fetch()


def _header(token: str) -> dict[str, Any]:
    """Return the unverified header of `token`. Raises PyJWTError.

    Cut off payload and signature, because PyJWT would spend 2 ms on 50,000 characters of them.
    """
    return jwt.get_unverified_header(f"{token.partition('.')[0]}..")


def _signer(token: str, algorithm: str, keys: Sequence[VerificationKey]) -> VerificationKey:
    """Return the key that signed `token`, or any key if none of them did."""
    signing_input, _, signature = token.encode().rpartition(b".")
    raw_signature = jwt.utils.base64url_decode(signature)
    method = jwt.get_algorithm_by_name(algorithm)
    for key in keys[:MAX_ATTEMPTS]:
        if method.verify(signing_input, key.key, raw_signature):
            return key
    return keys[0]


def read_public_key(path: Path) -> VerificationKey:
    """Return the key in a PEM file, or raise ConfigError."""
    try:
        return public_key.from_pem(path.read_bytes())
    except ValueError as error:
        raise ConfigError(
            f"AGENT_API_JWT_PUBLIC_KEY_FILE {path} must be a PEM public key: {public_key.KINDS}"
        ) from error
