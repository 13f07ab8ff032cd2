"""Verifies bearer tokens (RFC 6750), without the database."""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from jwt.types import Options

from agent_api.auth import development_secret
from agent_api.auth.key_set import KeySet, KeysUnavailable
from agent_api.auth.principal import Principal
from agent_api.http.problems import MAX_TOKEN_LENGTH, TokenTooLong, Unauthorized, Unavailable
from agent_api.settings import ConfigError, Settings

logger = logging.getLogger(__name__)

ASYMMETRIC = ("RS256", "ES256", "EdDSA")
LEEWAY_SECONDS = 5
CACHE_SECONDS = 60
CACHE_ENTRIES = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class VerificationKeys:
    """The configured keys: a secret, a public key or a provider's key set."""

    def __init__(self, settings: Settings) -> None:
        self._key_set: KeySet | None = None
        self._key: Any = None
        self.algorithms: tuple[str, ...] = ASYMMETRIC
        if settings.jwt_jwks_url:
            self._key_set = KeySet(settings.jwt_jwks_url)
        elif settings.jwt_public_key_file:
            self._key, self.algorithms = read_public_key(settings)
        else:
            self._key = settings.jwt_secret or development_secret.load_or_create(settings.data_dir)
            self.algorithms = ("HS256",)

    def get(self, token: str) -> Any:
        """Return the key that verifies `token`.

        Raises InvalidTokenError if the provider does not have the key, and KeysUnavailable if the
        provider cannot be reached.
        """
        if self._key_set is None:
            return self._key
        key_id = _key_id(token)
        key = None if key_id is None else self._key_set.get(key_id)
        if key is None:
            raise jwt.InvalidTokenError("unknown key id")
        return key

    def must_fetch(self, token: str) -> bool:
        """Tell whether to call `fetch`, because the key of `token` is not known yet."""
        if self._key_set is None:
            return False
        try:
            key_id = _key_id(token)
        except (jwt.PyJWTError, ValueError, RecursionError):  # verify() reports the error
            return False
        return key_id is not None and not self._key_set.knows(key_id)

    def fetch(self) -> None:
        """Get the provider's current keys. Blocks for up to FETCH_SECONDS."""
        assert self._key_set is not None
        self._key_set.fetch()


def _key_id(token: str) -> str | None:
    key_id = jwt.get_unverified_header(token).get("kid")
    return key_id if isinstance(key_id, str) else None


def read_public_key(settings: Settings) -> tuple[Any, tuple[str, ...]]:
    """Return the configured PEM key and its algorithm, or raise ConfigError."""
    path = settings.jwt_public_key_file
    assert path is not None
    pem = path.read_bytes()
    for name in ASYMMETRIC:
        algorithm = jwt.get_algorithm_by_name(name)
        try:
            key = algorithm.prepare_key(pem)
        except (jwt.InvalidKeyError, ValueError, TypeError):
            continue
        if not hasattr(key, "sign"):  # a server that only verifies must not have the private key
            return key, (name,)
    raise ConfigError(
        f"AGENT_API_JWT_PUBLIC_KEY_FILE {path} must be a PEM public key for {', '.join(ASYMMETRIC)}"
    )


class Authenticator:
    """Verifies tokens and caches their principals for CACHE_SECONDS."""

    def __init__(self, settings: Settings) -> None:
        self.keys = VerificationKeys(settings)
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        required = ["exp", "sub"]
        required += ["iss"] if settings.jwt_issuer else []
        required += ["aud"] if settings.jwt_audience else []
        self._options: Options = {
            "require": required,
            "verify_aud": settings.jwt_audience is not None,
        }
        self._cache: dict[str, tuple[Principal, float]] = {}

    def cached(self, token: str) -> Principal | None:
        """Return the principal of a token that was verified less than CACHE_SECONDS ago."""
        principal, until = self._cache.get(token, (None, 0.0))
        return principal if time.time() < until else None

    def verify(self, token: str) -> Principal:
        """Check signature and claims (RFC 7519) and return the principal.

        Raises Unauthorized, or Unavailable if the key server cannot be reached.
        """
        try:
            claims = jwt.decode(
                token,
                self.keys.get(token),
                algorithms=list(self.keys.algorithms),
                options=self._options,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
            )
            until = min(int(claims["exp"]), time.time() + CACHE_SECONDS)
        except KeysUnavailable as error:
            raise Unavailable("The key server cannot be reached. Try again.") from error
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("The token has expired. Get a new one.") from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            # The reason helps operators set up an identity provider. Clients do not get it.
            logger.info("token refused", extra={"reason": type(error).__name__})
            raise Unauthorized("The token is not valid.") from error
        principal = Principal(_user_id(claims), _scopes(claims))
        if len(self._cache) >= CACHE_ENTRIES:
            self._cache.clear()
        self._cache[token] = principal, until
        return principal


def _user_id(claims: Mapping[str, Any]) -> str:
    user_id = claims["sub"]
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= 255 or _CONTROL.search(user_id):
        raise Unauthorized(
            "The token's sub must be 1 to 255 characters without control characters."
        )
    return user_id


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", "")
    return frozenset(scope.split()) if isinstance(scope, str) else frozenset()


def bearer_token(headers: Mapping[bytes, Sequence[bytes]]) -> str:
    """Return the bearer token of the Authorization header, or raise Unauthorized."""
    values = headers.get(b"authorization")
    if not values:
        raise Unauthorized(
            "Missing token: send the header Authorization: Bearer <token>.", token_given=False
        )
    scheme, _, token = values[0].decode("latin-1").partition(" ")
    token = token.strip()
    if len(values) > 1 or scheme.lower() != "bearer" or not token:
        raise Unauthorized("Send exactly one header Authorization: Bearer <token>.")
    if len(token) > MAX_TOKEN_LENGTH:
        raise TokenTooLong
    return token
