"""Downloads the key set of an identity provider, and explains failures."""

import ssl
import time
from http.client import HTTPException
from json import JSONDecodeError
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

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


def download(url: str) -> bytes:
    """Return the document at `url`.

    The body may take FETCH_SECONDS and have MAX_BYTES. Raises OSError, HTTPException or
    ValueError.
    """
    request = Request(url, headers=_HEADERS)  # noqa: S310  # the setting allows only http and https
    with build_opener(_NoRedirects).open(request, timeout=FETCH_SECONDS) as response:
        deadline = time.monotonic() + FETCH_SECONDS
        document = b""
        while chunk := response.read1(MAX_BYTES):
            document += chunk
            if len(document) > MAX_BYTES:
                raise ValueError(f"the key set has more than {MAX_BYTES} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError("the response took too long")
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
