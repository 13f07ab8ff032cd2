"""Limits the requests of each user or address with a token bucket that all workers share."""

import math
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import Scope

from agent_api.http.problems import TooManyRequests
from agent_api.http.request_context import RATE_LIMIT, USER_ID
from db import rate_limits
from db.engine import autocommit


def user_of(scope: Scope) -> str:
    """Return the bucket of the request's user."""
    bucket: str = scope[USER_ID]
    return bucket


def address_of(scope: Scope) -> str:
    """Return the bucket of the client's address.

    Hosts usually have a network of 64 bits of IPv6, so all its addresses share one.
    """
    client = scope.get("client")
    try:
        address = ip_address(client[0].partition("%")[0]) if client else None
    except ValueError:  # a proxy sent something else
        address = None
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or ip_network((address, 64), strict=False).network_address
    return f"{rate_limits.ADDRESS}{address}"


class RateLimiter:
    """Takes a token from the bucket of the request's user, or of its address, for each request.

    The response headers are those of draft-ietf-httpapi-ratelimit-headers-10, structured fields
    (RFC 9651): the quota `q` of a window of `w` seconds, the remaining tokens `r`, and the seconds
    `t` until the next token.
    """

    def __init__(
        self,
        *,
        per_minute: int,
        burst: int,
        policy: str = "user",
        bucket_of: Callable[[Scope], str] = user_of,
    ) -> None:
        self._per_minute = per_minute
        self._name = policy.encode()
        self._bucket_of = bucket_of
        self.limit = rate_limits.Limit(burst, per_minute / 60)
        window = math.ceil(burst * 60 / per_minute)  # seconds until an empty bucket is full
        self._policy = (b"ratelimit-policy", b'"%s";q=%d;w=%d' % (self._name, burst, window))

    def take(self, scope: Scope) -> None:
        """Take a token and put the response headers into `scope`.

        Raises TooManyRequests, and what the database raises.
        """
        with autocommit() as connection:
            bucket = rate_limits.take(connection, user_id=self._bucket_of(scope), limit=self.limit)
        left = math.floor(bucket.tokens)
        seconds = math.ceil((left + 1 - bucket.tokens) / self.limit.per_second)
        state = b'"%s";r=%d;t=%d' % (self._name, left, seconds)
        scope[RATE_LIMIT] = (self._policy, (b"ratelimit", state))
        if not bucket.taken:
            raise TooManyRequests(self._per_minute, self.limit.burst, seconds)
