"""Defines the errors that clients get, as application/problem+json (RFC 9457)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson
from connexion.exceptions import ProblemException

from agent_api.http.responses import Response

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "1"


class Problem(ProblemException):  # type: ignore[misc]  # connexion ships no types
    """An error with its HTTP status. `detail` tells the client what to do."""

    code: ClassVar[str]
    http_status: ClassVar[int]
    http_title: ClassVar[str]

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            status=self.http_status,
            title=self.http_title,
            detail=detail,
            type=f"/problems/{self.code}",
            headers=dict(headers or {}),
            ext={"errors": list(errors)} if errors else None,
        )

    def body(self) -> bytes:
        """Return the problem as JSON."""
        members: dict[str, Any] = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        return orjson.dumps(members | (self.ext or {}))

    def to_response(self) -> Response:
        """Return the problem as a response."""
        return Response(self.status, self.body(), self.headers, MEDIA_TYPE)


class BadRequest(Problem):
    """The request cannot be parsed."""

    code, http_status, http_title = "bad-request", 400, "Bad request"


class Unauthorized(Problem):
    """The token is missing or not accepted. The challenge follows RFC 6750 section 3."""

    code, http_status, http_title = "unauthorized", 401, "Unauthorized"

    def __init__(self, detail: str, *, token_given: bool = True) -> None:
        challenge = 'Bearer error="invalid_token"' if token_given else "Bearer"
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class TokenTooLong(Unauthorized):
    """The token makes the headers larger than their limit and is not decoded."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The token is too long: the headers may have {limit} bytes.")


class Forbidden(Problem):
    """The resource belongs to another user."""

    code, http_status, http_title = "forbidden", 403, "Forbidden"

    def __init__(self, resource: str) -> None:
        super().__init__(f"This {resource} belongs to another user.")


class RoleForbidden(Forbidden):
    """The caller is a member of the conversation, with a role that does not allow this."""

    def __init__(self, role: str) -> None:
        Problem.__init__(
            self, f"A {role} of this conversation cannot do this: ask its owner for another role."
        )


class LeaseRefused(Forbidden):
    """The request has no lease, or one that is not for this request."""

    def __init__(self, detail: str) -> None:
        Problem.__init__(self, detail)


class LeaseExpired(Problem):
    """The lease is not valid any more: stop working on the run."""

    code, http_status, http_title = "lease-expired", 403, "Lease expired"

    def __init__(self) -> None:
        super().__init__("The lease has expired or its run has ended. Stop working on the run.")


class InsufficientScope(Forbidden):
    """The token lacks a scope (RFC 6750 section 3.1)."""

    def __init__(self, scope: str) -> None:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        Problem.__init__(
            self,
            f"Only workers may do this: the token needs the scope {scope}.",
            headers={"WWW-Authenticate": challenge},
        )


class NotFound(Problem):
    """The resource or path does not exist."""

    code, http_status, http_title = "not-found", 404, "Not found"

    def __init__(self, resource: str) -> None:
        if resource == "path":
            super().__init__("This path does not exist. See /docs for all paths.")
        else:
            super().__init__(f"No {resource} has this id.")


class LinkNotFound(NotFound):
    """No public link has this secret, or it does not work any more. Nobody learns which."""

    def __init__(self) -> None:
        Problem.__init__(self, "This link is wrong, has expired or was deleted.")


class MethodNotAllowed(Problem):
    """The path has other methods, which `Allow` lists (RFC 9110 section 10.2.1)."""

    code, http_status, http_title = "method-not-allowed", 405, "Method not allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        methods = ", ".join(allowed)
        super().__init__(f"This path only supports {methods}.", headers={"Allow": methods})


class RequestTimeout(Problem):
    """The request arrives too slowly. The connection closes before the rest is read."""

    code, http_status, http_title = "request-timeout", 408, "Request timeout"

    def __init__(self) -> None:
        super().__init__(
            "The request arrived too slowly. Send it again, or send a smaller one.",
            headers={"Connection": "close"},
        )


class Conflict(Problem):
    """The state of the resource does not allow the change."""

    code, http_status, http_title = "conflict", 409, "Conflict"


class ConversationBusy(Problem):
    """Other runs of the conversation are active."""

    code, http_status, http_title = "conversation-busy", 409, "Conversation busy"

    def __init__(self) -> None:
        super().__init__(
            "Another run of this conversation is active. Wait for its end, or cancel it.",
            headers={"Retry-After": RETRY_AFTER_SECONDS},
        )


class RequestInProgress(Problem):
    """Another request with the same Idempotency-Key is still in progress."""

    code, http_status, http_title = "request-in-progress", 409, "Request in progress"

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is still in progress. Try again.",
            headers={"Retry-After": RETRY_AFTER_SECONDS},
        )


class PositionExpired(Problem):
    """The log no longer has everything after the position."""

    code, http_status, http_title = "position-expired", 410, "Position expired"

    def __init__(self) -> None:
        super().__init__(
            "The log no longer has all changes after this position. Take a new one and read the"
            " lists again."
        )


class PreconditionFailed(Problem):
    """The ETag of the resource is not in If-Match (RFC 9110 section 13.1.1)."""

    code, http_status, http_title = "precondition-failed", 412, "Precondition failed"

    def __init__(self) -> None:
        super().__init__(
            "The resource has changed since you read it. Get it again and repeat the change."
        )


class PayloadTooLarge(Problem):
    """The body exceeds the limit. The connection closes before the rest is read."""

    code, http_status, http_title = "payload-too-large", 413, "Payload too large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The body exceeds the limit of {limit} bytes. Send a smaller one.",
            headers={"Connection": "close"},
        )


class UnsupportedMediaType(Problem):
    """The operation does not accept the media type or encoding of the body."""

    code, http_status, http_title = "unsupported-media-type", 415, "Unsupported media type"


class ValidationFailed(Problem):
    """The request breaks rules of the contract. `errors` lists them."""

    code, http_status, http_title = "validation-failed", 422, "Validation failed"

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        count = "1 rule" if len(errors) == 1 else f"{len(errors)} rules"
        super().__init__(
            f"The request breaks {count} of the contract. See `errors`.", errors=errors
        )


class TooManyRequests(Problem):
    """The user exceeds the rate limit (RFC 6585 section 4). The handler did not run."""

    code, http_status, http_title = "too-many-requests", 429, "Too many requests"

    def __init__(self, per_minute: int, burst: int, seconds: int) -> None:
        at_once = f" ({burst} at once)" if burst != per_minute else ""
        super().__init__(
            f"You exceeded {per_minute} requests per minute{at_once}. "
            "Wait as long as Retry-After says, then retry.",
            headers={"Retry-After": str(seconds)},
        )


class TooManyStreams(Problem):
    """The user has too many open streams (RFC 6585 section 4)."""

    code, http_status, http_title = "too-many-streams", 429, "Too many streams"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"You have {limit} open streams. Close one before you open another.",
            headers={"Retry-After": RETRY_AFTER_SECONDS},
        )


class TooManyClaims(Problem):
    """The worker has too many waiting claims (RFC 6585 section 4)."""

    code, http_status, http_title = "too-many-claims", 429, "Too many claims"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} claims of yours are waiting. Wait for one before you send another.",
            headers={"Retry-After": RETRY_AFTER_SECONDS},
        )


class HeadersTooLarge(Problem):
    """Request line and headers exceed the limit (RFC 6585 section 5)."""

    code, http_status, http_title = "headers-too-large", 431, "Request header fields too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Request line and headers exceed {limit} bytes. Send fewer headers.")


class InternalError(Problem):
    """The server has a bug. The log has the details, under the id of the request."""

    code, http_status, http_title = "internal-error", 500, "Internal server error"

    def __init__(self) -> None:
        super().__init__("The server failed. Report the X-Request-Id of this response.")


class Unavailable(Problem):
    """A dependency of the server cannot be reached. A retry may succeed."""

    code, http_status, http_title = "unavailable", 503, "Service unavailable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": RETRY_AFTER_SECONDS})


class Timeout(Problem):
    """A statement took longer than the statement timeout."""

    code, http_status, http_title = "timeout", 504, "Gateway timeout"

    def __init__(self) -> None:
        super().__init__(
            "The database took too long. Try again.", headers={"Retry-After": RETRY_AFTER_SECONDS}
        )


def field_error(place: str, pointer: str, detail: str) -> dict[str, str]:
    """Return an entry of `errors`. `place` is body, query, path, header or response."""
    return {"in": place, "pointer": pointer, "detail": detail}
