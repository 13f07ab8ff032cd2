"""Turns every exception into a problem response."""

import asyncio
import logging

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_api.http import problems
from agent_api.http.problems import Problem
from agent_api.http.request_context import STATUSES
from agent_api.http.sending import send_response
from db import errors as db_errors

logger = logging.getLogger(__name__)


def from_exception(error: Exception) -> Problem:
    """Return the problem of an exception; InternalError if it is unexpected."""
    match error:
        case Problem():
            return error
        case db_errors.Failure():
            return _from_failure(error)
        case MemoryError() | RuntimeError(args=("can't start new thread",)):
            return problems.Unavailable("The server lacks memory or threads. Try again.")
        case HTTPException(status_code=404):  # from Flask, for an unknown path
            return problems.NotFound("path")
        case _:
            return problems.InternalError()


def _from_failure(error: db_errors.Failure) -> Problem:
    match error:
        case db_errors.Missing():
            return problems.NotFound(error.resource)
        case db_errors.RoleDenied():
            return problems.RoleForbidden(error.role)
        case db_errors.Denied():
            return problems.Forbidden(error.resource)
        case db_errors.Invalid():
            return problems.ValidationFailed(
                [problems.field_error(error.part, *place) for place in error.places.items()]
            )
        case db_errors.ConversationBusy():
            return problems.ConversationBusy()
        case db_errors.TooLarge():
            return problems.ValidationFailed(
                [problems.field_error("query", "", "would return too much: request fewer items")]
            )
        case db_errors.Conflict():
            return problems.Conflict(error.detail)
        case db_errors.PositionExpired():
            return problems.PositionExpired()
        case db_errors.Busy():
            return problems.Unavailable("The server is busy. Try again.")
        case db_errors.Unavailable():
            return problems.Unavailable("The database cannot be reached. Try again.")
        case db_errors.Timeout():
            return problems.Timeout()
        case _:
            return problems.InternalError()


class ProblemMiddleware:
    """Sends a problem for every exception of the application inside."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. After the response has started, errors abort it."""
        started = False

        async def observed_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, observed_send)
        except asyncio.CancelledError:  # the grace period of a shutdown is over
            if started:
                raise
            stopping = problems.Unavailable("The server is stopping. Try again.")
            await send_response(stopping.to_response(), scope, receive, send)
        except Exception as error:  # the only broad except: clients always get a problem
            if started:
                raise
            problem = from_exception(error)
            known = scope.get(STATUSES)
            if known is not None and problem.status not in known:
                logger.error("status is not in the contract", extra={"status": problem.status})
                problem = problems.InternalError()
            if problem.status == 500:
                logger.error("request failed", exc_info=error)
            elif problem.status > 500:  # expected, and frequent during an outage: no traceback
                reason = db_errors.describe(error) or type(error).__name__
                logger.warning("request failed", extra={"reason": reason})
            await send_response(problem.to_response(), scope, receive, send)
