"""Adds the headers of the rate limit, and security headers.

The security headers follow OWASP's REST cheat sheet and secure headers project. The proxy that
terminates TLS sends Strict-Transport-Security: RFC 6797 section 7.2 forbids it over plain HTTP.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_api.http.request_context import RATE_LIMIT

Header = tuple[bytes, bytes]

NO_STORE: Header = (b"cache-control", b"no-store")
REVALIDATE: Header = (b"cache-control", b"private, no-cache")
"""For responses with an ETag. Clients may store them, but must revalidate."""
INERT: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""A browser that displays a response as a page must not load or run anything."""
ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # Other sites need CORS to load a response; <img> and <script> elements cannot.
    (b"cross-origin-resource-policy", b"same-origin"),
)
PROBLEM_HEADERS: tuple[Header, ...] = (*ALWAYS, NO_STORE, INERT)


class ResponseHeadersMiddleware:
    """Adds missing security headers, and the headers of the rate limit."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                message["headers"] = [*headers, *missing(headers), *scope.get(RATE_LIMIT, ())]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def missing(headers: Iterable[Header]) -> Iterable[Header]:
    """Return the security headers to add to `headers`, whose names are in lower case."""
    names = {name for name, _ in headers}
    caching = REVALIDATE if b"etag" in names else NO_STORE
    own = [header for header in (caching, INERT) if header[0] not in names]
    return (*ALWAYS, *own)
