"""Verifies bearer tokens (RFC 6750), without the database."""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from jwt.exceptions import InvalidSubjectError
from jwt.types import Options

from agent_api.auth.key_set import KeysUnavailable
from agent_api.auth.principal import Principal
from agent_api.auth.verification_keys import VerificationKeys
from agent_api.http.problems import Unauthorized, Unavailable
from agent_api.settings import Settings

logger = logging.getLogger(__name__)

LEEWAY_SECONDS = 5
CACHE_SECONDS = 60
CACHE_ENTRIES = 4096
CACHE_CHARACTERS = 32 * 1024 * 1024
"""A token can be almost as long as the head of a request."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Authenticator:
    """Verifies tokens and caches their principals for CACHE_SECONDS."""

    def __init__(self, settings: Settings) -> None:
        self.keys = VerificationKeys(settings, on_change=self._forget)
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        required = ["exp", "sub"]
        required += ["iss"] if settings.jwt_issuer else []
        required += ["aud"] if settings.jwt_audience else []
        self._options: Options = {
            "require": required,
            "verify_aud": settings.jwt_audience is not None,
            "verify_iat": False,  # RFC 7519 section 4.1.6 gives no reason to refuse one
        }
        self._forget()

    def _forget(self) -> None:
        # A new dictionary: `verify` may be about to add a token whose key has been withdrawn.
        self._cache: dict[str, tuple[Principal, float]] = {}
        self._cached_characters = 0

    def cached(self, token: str) -> Principal | None:
        """Return the principal of a token that was verified less than CACHE_SECONDS ago."""
        principal, until = self._cache.get(token, (None, 0.0))
        return principal if time.time() < until else None

    def verify(self, token: str) -> Principal:
        """Check signature and claims (RFC 7519) and return the principal.

        Raises Unauthorized, or Unavailable if the key server cannot be reached.
        """
        cache = self._cache
        try:
            key = self.keys.find(token)
            claims = jwt.decode(
                token,
                key.key,
                algorithms=key.algorithms,
                options=self._options,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
            )
            trusted = min(CACHE_SECONDS, self.keys.seconds_left())
            expires_at = int(claims["exp"])
            until = min(expires_at, time.time() + trusted)
            principal = Principal(_user_id(claims), _scopes(claims), expires_at)
        except KeysUnavailable as error:
            raise Unavailable("The key server cannot be reached. Try again.") from error
        except jwt.ExpiredSignatureError as error:
            _log_refusal(error)
            raise Unauthorized("The token has expired. Get a new one.") from error
        except InvalidSubjectError as error:
            _log_refusal(error)
            raise Unauthorized(
                "The token's sub must be 1 to 255 characters without control characters."
            ) from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            _log_refusal(error)
            raise Unauthorized("The token is not valid.") from error
        if len(cache) >= CACHE_ENTRIES or self._cached_characters > CACHE_CHARACTERS:
            cache.clear()
            self._cached_characters = 0
        cache[token] = principal, until
        self._cached_characters += len(token)
        return principal


def _log_refusal(error: Exception) -> None:
    """Log the kind of the error. Its text can contain a part of the token."""
    # The reason helps operators set up an identity provider. Clients do not get it.
    logger.info("token refused", extra={"reason": type(error).__name__})


def _user_id(claims: Mapping[str, Any]) -> str:
    user_id = claims["sub"]
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= 255 or _CONTROL.search(user_id):
        raise InvalidSubjectError
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
    return token
