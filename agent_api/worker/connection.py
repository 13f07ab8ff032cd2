"""Sends the requests of a worker, and repeats them until the server responds."""

import random
from collections.abc import Callable
from threading import Event
from typing import Any

import httpx

TIMEOUT_SECONDS = 30
FIRST_DELAY_SECONDS = 0.2
MAX_DELAY_SECONDS = 5


class RequestRefused(Exception):
    """The server has refused a request. The message says why."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        super().__init__(_reason(response))


class Stopped(Exception):
    """The worker has to stop, and the server does not respond."""


class Connection:
    """An HTTP client that survives restarts of the server. Threads can share it."""

    def __init__(
        self, url: str, *, token: Callable[[], str], stop: Event, say: Callable[[str], None]
    ) -> None:
        """`token` returns a valid token. After `stop`, requests are no longer repeated."""
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS)
        self._token = token
        self._stop = stop
        self._say = say

    def close(self) -> None:
        """Close the connections to the server."""
        self._client.close()

    def request(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Return the response to a request that may be sent several times.

        Raises RequestRefused for an error that will not go away, and Stopped.
        """
        delay = FIRST_DELAY_SECONDS
        while True:
            sent = {"Authorization": f"Bearer {self._token()}", **(headers or {})}
            try:
                response = self._client.request(method, path, headers=sent, **more)
            except httpx.TransportError as error:
                problem, wait = _cause(error), delay
            else:
                if response.is_success:
                    return response
                if response.status_code < 500 and "Retry-After" not in response.headers:
                    raise RequestRefused(response)
                problem, wait = _reason(response), _retry_after(response, delay)
            self._say(f"The request failed, trying again: {problem}")
            if self._stop.wait(wait * random.uniform(0.5, 1)):
                raise Stopped
            delay = min(2 * delay, MAX_DELAY_SECONDS)


def _retry_after(response: httpx.Response, default: float) -> float:
    """Return the seconds of Retry-After, but at least `default`."""
    text = response.headers.get("Retry-After", "")
    return max(default, float(text)) if text.isdecimal() else default


def _cause(error: httpx.TransportError) -> str:
    """Return the kind of an error, and what the network says, such as why a certificate is bad.

    The text of another error may quote a header, and with it the token.
    """
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, httpx.NetworkError) and str(error) else name


def _reason(response: httpx.Response) -> str:
    """Return a problem's detail, or the status if a proxy has responded."""
    status = f"{response.status_code} {response.reason_phrase}"
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        return f"{status}: {response.json()['detail']}"
    return status
