"""Authenticates requests and runs handlers, in threads or on the event loop."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from starlette.types import ASGIApp

from agent_api.auth.authenticator import Authenticator, bearer_token
from agent_api.auth.principal import Principal
from agent_api.contract.middleware import ContractMiddleware
from agent_api.contract.operation import Headers, Operation, Request
from agent_api.http.problems import Unavailable
from agent_api.http.responses import Response
from agent_api.middleware import idempotency
from agent_api.middleware.rate_limiting import RateLimiter
from agent_api.middleware.threads import QueueTimeout, Threads

P = ParamSpec("P")
T = TypeVar("T")

QUEUE_SECONDS = 5
"""How long a request may wait for a thread."""


class HandlerMiddleware(ContractMiddleware):
    """Serves the contract with tokens and handlers."""

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
        self._fetch_threads = Threads(4, name="key-fetcher", timeout=QUEUE_SECONDS)

    async def authenticate(self, operation: Operation, headers: Headers) -> Principal | None:
        """Return the principal of the bearer token. Raises what Authenticator raises."""
        if not operation.requires_token:
            return None
        token = bearer_token(headers)
        principal = self._authenticator.cached(token)
        if principal is not None:
            return principal
        if self._authenticator.keys.must_fetch(token):
            # Separate threads, so that a slow key server only delays requests that need its keys.
            await _run_in_thread(self._fetch_threads, self._authenticator.keys.fetch)
        return self._authenticator.verify(token)

    async def respond(self, request: Request) -> Response:
        """Run the handler: a coroutine function on the event loop, others in a thread."""
        limiter = self._limiter if request.operation.requires_token else None
        if not request.operation.is_async:
            return await _run_in_thread(self._threads, _run_handler, request, limiter)
        if limiter is not None:
            await _run_in_thread(self._threads, limiter.take, request.scope)
        return await request.operation.run_async(request.arguments, request.raw_body)


def _run_handler(request: Request, limiter: RateLimiter | None) -> Response:
    if limiter is not None:
        limiter.take(request.scope)
    if request.idempotency_key is not None:
        return idempotency.run_once(request)
    return request.operation.run(request.arguments, request.raw_body)


async def _run_in_thread(
    threads: Threads, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run `function` in one of `threads`. Raises Unavailable if all stay busy."""
    try:
        return await threads.run(function, *args, **kwargs)
    except QueueTimeout as error:
        raise Unavailable("The server is busy. Try again.") from error
