"""Answers the contract's operations by the handlers: tokens say who calls, threads do the work."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from starlette.types import ASGIApp

from agent_api.auth.authenticator import Authenticator, bearer_token
from agent_api.auth.principal import Principal
from agent_api.contract.middleware import ContractMiddleware
from agent_api.contract.operation import Call, Headers, Operation
from agent_api.http.problems import Unavailable
from agent_api.http.responses import Response
from agent_api.middleware import idempotency
from agent_api.middleware.rate_limiting import RateLimiter
from agent_api.middleware.threads import Overdue, Threads

P = ParamSpec("P")
T = TypeVar("T")

QUEUE_SECONDS = 5


class HandlerMiddleware(ContractMiddleware):
    """The contract as the server serves it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        max_body_bytes: int,
        threads: Threads,
        limiter: RateLimiter | None = None,
    ) -> None:
        super().__init__(app, max_body_bytes=max_body_bytes)
        self._authenticator = authenticator
        self._threads = threads
        self._limiter = limiter
        self._fetchers = Threads(4, name="key-fetcher", patience=QUEUE_SECONDS)

    async def authenticate(self, operation: Operation, headers: Headers) -> Principal | None:
        """Return whom the bearer token names; see Authenticator for what it raises."""
        if not operation.requires_token:
            return None
        token = bearer_token(headers)
        principal = self._authenticator.cached(token)
        if principal is not None:
            return principal
        if self._authenticator.keys.must_fetch(token):
            await _in_thread(self._fetchers, self._authenticator.keys.fetch)
        return self._authenticator.verify(token)

    async def answer(self, call: Call) -> Response:
        """Call the handler: a coroutine function on the event loop, any other in a thread."""
        limiter = self._limiter if call.operation.requires_token else None
        if call.operation.is_async:
            if limiter is not None:
                await _in_thread(self._threads, limiter.take, call.scope)
            return await call.operation.run_async(call.arguments, call.raw_body)
        if limiter is not None:
            return await _in_thread(self._threads, _run_limited, limiter, call)
        return await _in_thread(self._threads, _run, call)


def _run_limited(limiter: RateLimiter, call: Call) -> Response:
    limiter.take(call.scope)
    return _run(call)


def _run(call: Call) -> Response:
    if call.idempotency_key is not None:
        return idempotency.run_once(call)
    return call.operation.run(call.arguments, call.raw_body)


async def _in_thread(
    threads: Threads, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run `call` in one of `threads`. Raises Unavailable where none comes free in time."""
    try:
        return await threads.run(call, *args, **kwargs)
    except Overdue as error:
        raise Unavailable("The server is busy. Try again.") from error
