"""Downloads the key set of an identity provider, and explains failures."""

import socket
import ssl
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from json import JSONDecodeError
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    Request,
    build_opener,
)

from agent_api import __version__

FETCH_SECONDS = 5
"""Timeout of one fetch."""
MAX_BYTES = 1024 * 1024
"""Size limit of the key set. Large providers have a few dozen keys in 50 KB."""
_HEADERS = {
    # Web application firewalls refuse the default User-Agent of Python.
    "User-Agent": f"agent-api/{__version__}",
    "Accept": "application/jwk-set+json, application/json",
}


class _NoRedirects(HTTPRedirectHandler):
    """Refuses redirects: only the operator decides where the keys are."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Connection(HTTPConnection):
    """Ends the response after FETCH_SECONDS.

    The timeout of urllib applies to each read, so a response that trickles would never end.
    """

    def connect(self) -> None:
        super().connect()
        timer = threading.Timer(FETCH_SECONDS, _interrupt, [self.sock])
        timer.daemon = True
        timer.start()


class _TLSConnection(_Connection, HTTPSConnection):
    pass


def _interrupt(connected: socket.socket) -> None:
    with suppress(OSError):  # already closed
        # That of SSLSocket would also change its state, while another thread is reading.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


class _HTTPHandler(HTTPHandler):
    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_Connection, req)


class _HTTPSHandler(HTTPSHandler):
    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_TLSConnection, req)


def download(url: str) -> bytes:
    """Return the document at `url`.

    The response may take FETCH_SECONDS and have MAX_BYTES. Raises OSError, HTTPException or
    ValueError.
    """
    request = Request(url, headers=_HEADERS)  # noqa: S310  # the setting allows only http and https
    opener = build_opener(_NoRedirects, _HTTPHandler, _HTTPSHandler)
    started = time.monotonic()
    try:
        with opener.open(request, timeout=FETCH_SECONDS) as response:
            document = _read(response)
    except (OSError, HTTPException) as error:
        if time.monotonic() < started + FETCH_SECONDS:
            raise
        raise TimeoutError("the response took too long") from error
    if time.monotonic() > started + FETCH_SECONDS:  # it may have been cut off
        raise TimeoutError("the response took too long")
    return document


def _read(response: HTTPResponse) -> bytes:
    document = b""
    while chunk := response.read1(MAX_BYTES):
        document += chunk
        if len(document) > MAX_BYTES:
            raise ValueError(f"the key set has more than {MAX_BYTES} bytes")
    return document


def reason(error: Exception) -> str:
    """Return why a fetch failed, for the log, without the URL: it may contain a password."""
    if isinstance(error, HTTPError):
        hint = ": set the URL that it redirects to" if 300 <= error.code < 400 else ""
        return f"HTTP status {error.code}{hint}"
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS certificate: {error.verify_message}"
    if isinstance(error, JSONDecodeError | UnicodeDecodeError | RecursionError):
        return "the key set is not JSON"
    if isinstance(error, HTTPException) and not isinstance(error, OSError):
        return type(error).__name__  # its text is what the server sent
    return str(error) or type(error).__name__
