"""What the Python peers share: tokens, problems and cursors, with our server's answers."""

import base64
import time
from datetime import datetime
from typing import NamedTuple

import jwt
import orjson

CACHE_SECONDS = 60
LEEWAY_SECONDS = 5
PROBLEM_TYPE = "application/problem+json"

_TITLES = {
    401: ("unauthorized", "Unauthorized"),
    403: ("forbidden", "Forbidden"),
    404: ("not-found", "Not found"),
    422: ("validation-failed", "Validation failed"),
}


class Config(NamedTuple):
    """What a peer is told when it starts."""

    port: int
    database_url: str
    secret: str
    pool_size: int


class Key(NamedTuple):
    """The last row of a page, and the total of the list."""

    time: datetime
    id: str
    total: int


class Refusal(Exception):
    """A response with a problem (RFC 9457)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        code, title = _TITLES[status]
        problem = {"type": f"/problems/{code}", "title": title, "status": status, "detail": detail}
        self.status = status
        self.body = orjson.dumps(problem)


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


def write_cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(tuple(key))).rstrip(b"=").decode()


def read_cursor(cursor: str | None) -> Key | None:
    if cursor is None:
        return None
    try:
        moment, id_, total = orjson.loads(
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        )
        return Key(datetime.fromisoformat(moment), id_, total)
    except (ValueError, TypeError) as error:
        raise Refusal(422, "The cursor is not valid.") from error
