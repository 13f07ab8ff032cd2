"""What the peers share: the token check, problems, and cursors, all with our server's answers."""

import base64
import time
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import jwt
import orjson

CACHE_SECONDS = 60
LEEWAY_SECONDS = 5
PROBLEM_TYPE = "application/problem+json"

Listing = tuple[str, str]
"""The name of a list, with its order, and the user who reads it."""

_TITLES = {
    401: ("unauthorized", "Unauthorized"),
    403: ("forbidden", "Forbidden"),
    404: ("not-found", "Not found"),
    422: ("validation-failed", "Validation failed"),
}


@dataclass(frozen=True, slots=True)
class Config:
    """What a peer is told when it starts."""

    database_url: str
    secret: str
    pool_size: int


class Refusal(Exception):
    """An answer other than the one that was asked for."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail

    def body(self) -> bytes:
        """Return the problem (RFC 9457) as JSON."""
        code, title = _TITLES[self.status]
        return orjson.dumps(
            {
                "type": f"/problems/{code}",
                "title": title,
                "status": self.status,
                "detail": self.detail,
            }
        )


def missing(resource: str) -> Refusal:
    return Refusal(404, f"No {resource} has this id.")


def foreign(resource: str) -> Refusal:
    return Refusal(403, f"This {resource} belongs to another user.")


class Tokens:
    """Verifies bearer tokens, and remembers each for a minute as our server does."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._seen: dict[str, tuple[str, float]] = {}

    def user(self, authorization: str | None) -> str:
        """Return the user of an Authorization header, or raise Refusal."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refusal(401, "This needs a token.")
        user, until = self._seen.get(token, ("", 0.0))
        return user if time.time() < until else self._verify(token)

    def _verify(self, token: str) -> str:
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                options={"require": ["exp", "sub"]},
                leeway=LEEWAY_SECONDS,
            )
        except jwt.PyJWTError as error:
            raise Refusal(401, "The token is not valid.") from error
        user: str = claims["sub"]
        self._seen[token] = user, min(int(claims["exp"]), time.time() + CACHE_SECONDS)
        return user


def write_cursor(listing: Listing, key: list[Any]) -> str:
    """Return the cursor that our server would give for the page that ends at `key`."""
    name, user = listing
    parts = [name, key, _reader(user)]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


def _reader(user: str) -> str:
    return blake2b(user.encode(), digest_size=8).hexdigest()


def read_cursor(cursor: str | None, listing: Listing) -> list[Any] | None:
    """Return the key in a cursor of this listing, None without one, or raise Refusal."""
    if cursor is None:
        return None
    try:
        made_for, key, reader = orjson.loads(
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        )
    except (ValueError, TypeError) as error:
        raise Refusal(422, "The cursor is none of ours.") from error
    name, user = listing
    if (made_for, reader) != (name, _reader(user)) or not isinstance(key, list):
        raise Refusal(422, "The cursor is of another list.")
    return key
