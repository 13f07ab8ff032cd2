"""Checks the keys of tokens: the provider's key set, a public key, or a secret."""

import json
from collections.abc import Iterator
from http.client import HTTPException
from urllib.parse import urlsplit

from agent_api.auth import development_secret
from agent_api.auth.key_download import download, reason
from agent_api.auth.key_set import read_keys
from agent_api.auth.verification_keys import read_public_key
from agent_api.doctor.finding import Finding, count, error, ok, warning
from agent_api.settings import Settings, is_loopback

FEWEST_CHARACTERS = 8
"""A secret with fewer different characters was hardly generated at random."""
_DISCOVERY = "/.well-known/openid-configuration"


def check(settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the key, and about the claims that tokens must have."""
    if settings.jwt_jwks_url is not None:
        yield from _check_key_set(settings, settings.jwt_jwks_url)
    elif settings.jwt_public_key_file is not None:
        key = read_public_key(settings.jwt_public_key_file)
        text = f"{settings.jwt_public_key_file}: {', '.join(key.algorithms)}"
        yield ok("keys", text)
    elif settings.jwt_secret is not None:
        yield _check_secret(settings.jwt_secret)
    else:
        yield _check_development_secret(settings)
    if settings.has_key:
        yield from _check_claims(settings)


def _check_key_set(settings: Settings, url: str) -> Iterator[Finding]:
    where = public_part(url)
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield warning(
            "keys",
            f"{where} is not encrypted: others on the way could replace the keys",
            "Use the https address in AGENT_API_JWT_JWKS_URL.",
        )
    try:
        keys = read_keys(download(url))
    except (OSError, HTTPException, ValueError, RecursionError) as failure:
        yield error(
            "keys",
            f"Cannot fetch keys from {where}: {reason(failure)}",
            "Correct AGENT_API_JWT_JWKS_URL, or let this machine reach the provider. Without keys,"
            " each request gets a 503.",
        )
        return
    names = (f"{key.key_id or 'without id'} ({', '.join(key.algorithms)})" for key in keys)
    age = settings.jwt_jwks_max_age_seconds
    yield ok(
        "keys", f"{count(len(keys), 'key')} from {where}, kept for {age} s: {'; '.join(names)}"
    )


def public_part(url: str) -> str:
    """Return a URL without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:  # such as https://[x; it may contain a password
        return "an address that is not a URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _check_secret(secret: str) -> Finding:
    text = f"AGENT_API_JWT_SECRET, {len(secret.encode())} bytes (HS256)"
    different = len(set(secret))
    if different >= FEWEST_CHARACTERS:
        return ok("keys", text)
    return warning(
        "keys",
        f"{text} with only {different} different characters",
        "Make a secret with: openssl rand -hex 32",
    )


def _check_development_secret(settings: Settings) -> Finding:
    path = settings.data_dir / development_secret.FILE_NAME
    if path.exists():
        development_secret.load_or_create(settings.data_dir)  # raises ConfigError if it is unusable
    return warning(
        "keys",
        f"The development secret in {path} signs tokens",
        "For production, set AGENT_API_JWT_JWKS_URL or another key: see the page Authentication.",
    )


def _check_claims(settings: Settings) -> Iterator[Finding]:
    given = {"issuer": settings.jwt_issuer, "audience": settings.jwt_audience}
    for name, value in given.items():
        if value is None:
            yield warning(
                name,
                f"AGENT_API_JWT_{name.upper()} is not set: tokens for other services are accepted",
                f"Set it to the {name} of your tokens.",
            )
        elif name == "issuer" and settings.jwt_jwks_url is not None:
            yield _check_issuer(value, settings.jwt_jwks_url)
        else:
            yield ok(name, value)


def _check_issuer(issuer: str, jwks_url: str) -> Finding:
    """Compare with what the issuer publishes about itself (OpenID Connect Discovery 1.0)."""
    if not issuer.startswith(("https://", "http://")):
        return ok("issuer", issuer)
    where = issuer.rstrip("/") + _DISCOVERY
    try:
        published = json.loads(download(where))
    except (OSError, HTTPException, ValueError, RecursionError) as failure:
        return ok("issuer", f"{issuer} (not compared: {reason(failure)} from {public_part(where)})")
    if not isinstance(published, dict) or "issuer" not in published:
        return ok("issuer", f"{issuer} (not compared: {public_part(where)} names no issuer)")
    if published["issuer"] != issuer:
        return warning(
            "issuer",
            f"AGENT_API_JWT_ISSUER is {issuer}, but the provider calls itself"
            f" {published['issuer']}",
            "Set it to exactly this text, also the / at its end: other tokens get a 401.",
        )
    if published.get("jwks_uri") != jwks_url:
        return warning(
            "issuer",
            f"The keys of {issuer} are at {public_part(str(published.get('jwks_uri')))}",
            "Set AGENT_API_JWT_JWKS_URL to this address.",
        )
    return ok("issuer", f"{issuer}, and its keys are at AGENT_API_JWT_JWKS_URL")
