"""Who is calling: a bearer token (RFC 6750) becomes a Principal, without the database."""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt
from connexion.security import AbstractSecurityHandler
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


class Keys:
    """Finds the key and the algorithms that a token may be signed with."""

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

    def find(self, token: str) -> Any:
        """Return the key for `token`.

        Raises InvalidTokenError where there is none, and KeysUnavailable where it cannot be known.
        """
        if self._key_set is None:
            return self._key
        key_id = _key_id(token)
        key = None if key_id is None else self._key_set.get(key_id)
        if key is None:
            raise jwt.InvalidTokenError("no key of this id")
        return key

    def fetcher(self, token: str) -> Callable[[], None] | None:
        """Return what fetches the key of `token` where it is not known; it blocks for seconds."""
        if self._key_set is None:
            return None
        try:
            key_id = _key_id(token)
        except (jwt.PyJWTError, ValueError, RecursionError):  # verifying it will say so
            return None
        return None if key_id is None or self._key_set.knows(key_id) else self._key_set.fetch


def _key_id(token: str) -> str | None:
    key_id = jwt.get_unverified_header(token).get("kid")
    return key_id if isinstance(key_id, str) else None


def read_public_key(settings: Settings) -> tuple[Any, tuple[str, ...]]:
    """Return the PEM key of the settings and its algorithm, or raise ConfigError."""
    path = settings.jwt_public_key_file
    assert path is not None
    pem = path.read_bytes()
    for name in ASYMMETRIC:
        algorithm = jwt.get_algorithm_by_name(name)
        try:
            key = algorithm.prepare_key(pem)
        except (jwt.InvalidKeyError, ValueError, TypeError):
            continue
        if not hasattr(key, "sign"):  # a private key has no place on a server that only verifies
            return key, (name,)
    raise ConfigError(
        f"AGENT_API_JWT_PUBLIC_KEY_FILE {path} is no PEM public key for {', '.join(ASYMMETRIC)}"
    )


class Authenticator:
    """Verifies bearer tokens and remembers those it has seen for a minute."""

    def __init__(self, settings: Settings) -> None:
        self._keys = Keys(settings)
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

    def key_fetcher(self, token: str) -> Callable[[], None] | None:
        """Return what has to run, in a thread, before `token` can be verified; None for most."""
        return self._keys.fetcher(token)

    def remembered(self, token: str) -> Principal | None:
        """Return the principal of a token that was verified within the last minute, or None."""
        principal, until = self._cache.get(token, (None, 0.0))
        return principal if time.time() < until else None

    def verify(self, token: str) -> Principal:
        """Check signature and claims (RFC 7519); raises Unauthorized, without keys Unavailable."""
        try:
            claims = jwt.decode(
                token,
                self._keys.find(token),
                algorithms=list(self._keys.algorithms),
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
            # For the operator who sets up an identity provider; the client need not know.
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
    """Return the bearer token of the request's headers, or raise Unauthorized."""
    values = headers.get(b"authorization")
    if not values:
        raise Unauthorized(
            "This needs a token: send the header Authorization: Bearer <token>.", token_given=False
        )
    scheme, _, token = values[0].decode("latin-1").partition(" ")
    token = token.strip()
    if len(values) > 1 or scheme.lower() != "bearer" or not token:
        raise Unauthorized("Send one Authorization header, as: Bearer <token>.")
    if len(token) > MAX_TOKEN_LENGTH:
        raise TokenTooLong
    return token


class BearerHandler(AbstractSecurityHandler):  # type: ignore[misc]  # connexion ships no types
    """Connexion's hook for `type: http, scheme: bearer`: finds the token, verifies nothing."""

    def get_fn(self, _security_scheme: Mapping[str, Any], _required_scopes: Sequence[str]) -> Any:
        """Return the function that takes the request's headers and returns the token."""
        return bearer_token
