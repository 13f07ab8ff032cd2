"""Authenticates requests and runs handlers."""

from functools import partial
from http import HTTPStatus

from starlette.types import ASGIApp

from agent_api.auth.authenticator import Authenticator, bearer_token
from agent_api.auth.principal import Principal
from agent_api.contract.middleware import ContractMiddleware
from agent_api.contract.operation import Headers, Operation, Request
from agent_api.http import links
from agent_api.http.responses import Response
from agent_api.http.single_flight import SingleFlight
from agent_api.live.hub import Hub, current
from agent_api.middleware import idempotency, leasing, membership
from agent_api.middleware.rate_limiting import RateLimiter
from agent_api.middleware.turns import Turns
from db.access import Granted
from db.engine import act_under, bridge


class HandlerMiddleware(ContractMiddleware):
    """Serves the contract with tokens and handlers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        max_body_bytes: int,
        hub: Hub,
        limiter: RateLimiter | None = None,
        link_limiter: RateLimiter | None = None,
        link_base: str = links.PATH,
    ) -> None:
        super().__init__(app, max_body_bytes=max_body_bytes)
        self._authenticator = authenticator
        self._limiter = limiter
        self._link_limiter = link_limiter
        self._link_base = link_base
        self._hub = hub
        self._turns = Turns()
        self._fetch_keys = SingleFlight(partial(bridge.in_thread, authenticator.keys.fetch))

    async def authenticate(self, operation: Operation, headers: Headers) -> Principal | None:
        """Return the principal of the bearer token. Raises what Authenticator raises."""
        if not operation.requires_token:
            return None
        token = bearer_token(headers)
        principal = self._authenticator.cached(token)
        if principal is not None:
            return principal
        if self._authenticator.keys.must_fetch(token):
            await self._fetch_keys()
        return self._authenticator.verify(token)

    async def respond(self, request: Request) -> Response:
        """Run the handler. Plain functions may wait for the database."""
        turn = await self._turns.take(request)
        try:
            return await self._respond(request)
        finally:
            if turn is not None:
                turn.release()

    async def _respond(self, request: Request) -> Response:
        current.set(self._hub)
        links.base.set(self._link_base)
        limiter = self._limiter
        if not request.operation.requires_token:
            # Health checks are not limited: the contract lists no 429 for them.
            is_limited = HTTPStatus.TOO_MANY_REQUESTS in request.operation.statuses
            limiter = self._link_limiter if is_limited else None
        if leasing.has_lease(request):
            return await bridge.run(leasing.run, request, limiter, _run_once)
        if not request.operation.is_async:
            return await bridge.run(_run_handler, request, limiter)
        if limiter is not None:
            await bridge.run(limiter.take, request.scope)
        return await request.operation.run_async(request.arguments, request.raw_body)


def _run_handler(request: Request, limiter: RateLimiter | None) -> Response:
    if limiter is not None:
        limiter.take(request.scope)
    try:
        return _run_once(request)
    except Granted as granted:
        grant = granted.grant
    # The second attempt of a member: see `db.access`.
    act_under(grant)
    return _run_once(membership.as_owner(request, grant))


def _run_once(request: Request) -> Response:
    if request.idempotency_key is not None:
        return idempotency.run_once(request)
    return request.operation.run(request.arguments, request.raw_body)
