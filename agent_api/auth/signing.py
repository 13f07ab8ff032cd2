"""Signs tokens with the configured or the development secret."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jwt

from agent_api.auth import development_secret
from agent_api.settings import ConfigError, Settings


def sign(
    settings: Settings,
    user_id: str,
    *,
    seconds: int,
    scopes: Sequence[str] = (),
    on_new: Callable[[str], None] = lambda _: None,
) -> str:
    """Return a token that is valid for `seconds`.

    Calls `on_new` with a message if this call created the development secret. Raises ConfigError
    if an identity provider signs the tokens.
    """
    if not settings.can_sign:
        raise ConfigError(
            "Cannot sign tokens without a secret: get them from your identity provider, or set"
            " AGENT_API_JWT_SECRET instead"
        )
    now = int(time.time())
    claims: dict[str, Any] = {"sub": user_id, "iat": now, "exp": now + seconds}
    if scopes:
        claims["scope"] = " ".join(scopes)
    if settings.jwt_issuer:
        claims["iss"] = settings.jwt_issuer
    if settings.jwt_audience:
        claims["aud"] = settings.jwt_audience
    key = settings.jwt_secret or development_secret.load_or_create(settings.data_dir, on_new=on_new)
    return jwt.encode(claims, key, algorithm="HS256")
