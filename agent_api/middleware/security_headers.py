"""The headers that tell browsers and caches to keep out of the answers.

They follow OWASP's cheat sheet for REST and its secure headers project. Strict-Transport-Security
is for whoever ends TLS to send: RFC 6797 section 7.2 forbids it over plain HTTP.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

NO_STORE: Header = (b"cache-control", b"no-store")
REVALIDATE: Header = (b"cache-control", b"private, no-cache")
"""For an answer with an ETag: its own reader may keep it, and asks each time whether it holds."""
NO_CONTENT: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""An answer is data: a browser that shows it as a page loads nothing and runs nothing."""
ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # Of other sites only those that CORS lets in can load an answer, not every <img> and <script>.
    (b"cross-origin-resource-policy", b"same-origin"),
)
OF_PROBLEMS: tuple[Header, ...] = (*ALWAYS, NO_STORE, NO_CONTENT)


class SecurityHeadersMiddleware:
    """Adds them to every answer; what an answer says itself of caching and content stays."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *missing(message["headers"])]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def missing(headers: Iterable[Header]) -> Iterable[Header]:
    """Return what an answer with `headers`, whose names are in lower case, is to have as well."""
    names = {name for name, _ in headers}
    caching = REVALIDATE if b"etag" in names else NO_STORE
    own = [header for header in (caching, NO_CONTENT) if header[0] not in names]
    return (*ALWAYS, *own)
