"""Limits the requests of each user with a token bucket that all workers share."""

import math

from starlette.types import Scope

from agent_api.http.problems import TooManyRequests
from agent_api.http.request_context import RATE_LIMIT, USER_ID
from db import rate_limits
from db.engine import autocommit


class RateLimiter:
    """Takes a token from the user's bucket for each request.

    The response headers are those of draft-ietf-httpapi-ratelimit-headers-10, structured fields
    (RFC 9651): the quota `q` of a window of `w` seconds, the remaining tokens `r`, and the seconds
    `t` until the next token.
    """

    def __init__(self, *, per_minute: int, burst: int) -> None:
        self._per_minute = per_minute
        self.limit = rate_limits.Limit(burst, per_minute / 60)
        window = math.ceil(burst * 60 / per_minute)  # seconds until an empty bucket is full
        self._policy = (b"ratelimit-policy", b'"user";q=%d;w=%d' % (burst, window))

    def take(self, scope: Scope) -> None:
        """Take a token of the user and put the response headers into `scope`.

        Raises TooManyRequests, and what the database raises.
        """
        with autocommit() as connection:
            bucket = rate_limits.take(connection, user_id=scope[USER_ID], limit=self.limit)
        left = math.floor(bucket.tokens)
        seconds = math.ceil((left + 1 - bucket.tokens) / self.limit.per_second)
        scope[RATE_LIMIT] = (self._policy, (b"ratelimit", b'"user";r=%d;t=%d' % (left, seconds)))
        if not bucket.taken:
            raise TooManyRequests(self._per_minute, self.limit.burst, seconds)
