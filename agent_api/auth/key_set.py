"""Fetches and caches the public keys of an identity provider (JWKS, RFC 7517)."""

import json
import logging
import threading
import time
from http.client import HTTPException
from typing import Any
from urllib.request import HTTPRedirectHandler, build_opener

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

logger = logging.getLogger(__name__)

FETCH_SECONDS = 5
"""Timeout of one fetch."""
MAX_BYTES = 1024 * 1024
"""Size limit of the key set. Large providers have a few dozen keys in 50 KB."""
RENEW_SECONDS = 300
"""Age at which keys are fetched again, so that withdrawn keys become invalid."""
RENEW_AFTER_FAILURE_SECONDS = 10
PAUSE_SECONDS = 2
"""Minimum time between two fetches, however many tokens have unknown keys."""


class KeysUnavailable(Exception):
    """The key is not known, and the provider cannot be reached."""


class KeySet:
    """Finds keys by their id. Known keys never wait for the provider."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._fetch_deadline = 0.0
        self._next_fetch_at = 0.0
        self._renew_at = 0.0
        self._last_fetch_failed = False

    def get(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key without waiting, or None if the provider does not have it.

        Raises KeysUnavailable if the key is not known and the last fetch failed. Starts a fetch in
        the background if the keys are old.
        """
        key = self._keys.get(key_id)
        if key is None and self._last_fetch_failed:
            raise KeysUnavailable
        if key and time.monotonic() > self._renew_at:
            self._start_fetch()
        return key

    def knows(self, key_id: str) -> bool:
        """Tell whether `get` would return the key. If not, call `fetch` first."""
        return key_id in self._keys

    def fetch(self) -> None:
        """Replace the keys by the provider's. Blocks for up to FETCH_SECONDS.

        Callers at the same time share one fetch. Does nothing less than PAUSE_SECONDS after the
        last one.
        """
        if (thread := self._start_fetch()) is not None:
            thread.join(max(0.0, self._fetch_deadline - time.monotonic()))

    def _start_fetch(self) -> threading.Thread | None:
        """Return the thread that is fetching, or None if it is too early to fetch again.

        urllib has no timeout for a whole response, so callers wait for a thread instead.
        """
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return self._thread
            now = time.monotonic()
            if now < self._next_fetch_at:
                return None
            self._fetch_deadline = now + FETCH_SECONDS
            self._last_fetch_failed = True  # until the fetch succeeds
            self._thread = threading.Thread(target=self._replace_keys, daemon=True)
            self._thread.start()
            return self._thread

    def _replace_keys(self) -> None:
        renew_after = RENEW_AFTER_FAILURE_SECONDS
        try:
            self._keys = read_keys(download(self._url))
            self._last_fetch_failed = False
            renew_after = RENEW_SECONDS
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            # The known keys stay valid.
            logger.warning("cannot fetch keys", extra={"reason": type(error).__name__})
        finally:
            self._next_fetch_at = time.monotonic() + PAUSE_SECONDS
            self._renew_at = time.monotonic() + renew_after


class _NoRedirects(HTTPRedirectHandler):
    """Refuses redirects: only the operator decides where the keys are."""

    def redirect_request(self, *_: Any) -> None:
        return None


def download(url: str) -> bytes:
    """Return the document at `url`.

    The body may take FETCH_SECONDS and have MAX_BYTES. Raises OSError or ValueError.
    """
    with build_opener(_NoRedirects).open(url, timeout=FETCH_SECONDS) as response:
        deadline = time.monotonic() + FETCH_SECONDS
        document = b""
        while chunk := response.read1(MAX_BYTES):
            document += chunk
            if len(document) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError
    return document


def read_keys(document: bytes) -> dict[str, jwt.PyJWK]:
    """Return the usable signature keys of a key set by their id.

    Raises ValueError if there are none, and RecursionError if the document nests too deep.
    """
    members = json.loads(document)
    listed = members.get("keys") if isinstance(members, dict) else None
    found: dict[str, jwt.PyJWK] = {}
    for member in listed if isinstance(listed, list) else []:
        if not isinstance(member, dict) or member.get("use") not in ("sig", None):
            continue
        key_id = member.get("kid")
        if isinstance(key_id, str) and key_id:
            try:
                found[key_id] = jwt.PyJWK(member)
            except (jwt.PyJWTError, UnsupportedAlgorithm, LookupError, TypeError, ValueError):
                continue  # PyJWT does not check that all members of a key are present
    if not found:
        raise ValueError("no usable keys")
    return found
