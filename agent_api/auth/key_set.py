"""The keys of an identity provider (JWKS, RFC 7517): fetched, remembered, renewed."""

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
"""How long the provider may take to answer."""
MAX_BYTES = 1024 * 1024
"""Of the provider's document; the large ones have a few dozen keys in 50 KB."""
RENEW_SECONDS = 300
"""After which known keys are fetched again, so that a withdrawn one is not accepted for ever."""
RENEW_AFTER_FAILURE_SECONDS = 10
PAUSE_SECONDS = 2
"""Between two fetches, however many unknown keys are asked for."""


class KeysUnavailable(Exception):
    """The key is not known, and the provider cannot be asked."""


class KeySet:
    """Finds keys by their id; known ones without waiting, whatever the provider does meanwhile."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._lock = threading.Lock()
        self._fetching: threading.Thread | None = None
        self._give_up_at = 0.0
        self._not_before = 0.0
        self._renew_at = 0.0
        self._failed = False

    def get(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key at once, or None where it is not known.

        Raises KeysUnavailable where it is not known because the provider could not be asked.
        """
        key = self._keys.get(key_id)
        if key is None and self._failed:
            raise KeysUnavailable
        if key and time.monotonic() > self._renew_at:
            self._start()
        return key

    def knows(self, key_id: str) -> bool:
        """Tell whether the key is known; if not, `fetch` may bring it."""
        return key_id in self._keys

    def fetch(self) -> None:
        """Replace the keys by the provider's, within FETCH_SECONDS; of several callers one asks."""
        if (fetching := self._start()) is not None:
            fetching.join(max(0.0, self._give_up_at - time.monotonic()))

    def _start(self) -> threading.Thread | None:
        """Return the thread that fetches, a new one if it is time, or None.

        A thread of its own, since no timeout of urllib's bounds an answer that comes in drops.
        """
        with self._lock:
            if self._fetching is not None and self._fetching.is_alive():
                return self._fetching
            now = time.monotonic()
            if now < self._not_before:
                return None
            self._give_up_at = now + FETCH_SECONDS
            self._failed = True  # until it is done
            self._fetching = threading.Thread(target=self._replace_keys, daemon=True)
            self._fetching.start()
            return self._fetching

    def _replace_keys(self) -> None:
        renew_after = RENEW_AFTER_FAILURE_SECONDS
        try:
            self._keys = read_keys(download(self._url))
            self._failed = False
            renew_after = RENEW_SECONDS
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            # No connection, no answer, no JSON, no keys: what is known stays.
            logger.warning("keys cannot be fetched", extra={"reason": type(error).__name__})
        finally:
            self._not_before = time.monotonic() + PAUSE_SECONDS
            self._renew_at = time.monotonic() + renew_after


class _NoRedirects(HTTPRedirectHandler):
    """Where the keys are is the operator's word, not that of whoever answers there."""

    def redirect_request(self, *_: Any) -> None:
        return None


def download(url: str) -> bytes:
    """Return the document at `url`, which is the operator's; raises OSError or ValueError.

    It has FETCH_SECONDS from the end of its headers, and MAX_BYTES.
    """
    with build_opener(_NoRedirects).open(url, timeout=FETCH_SECONDS) as response:
        give_up_at = time.monotonic() + FETCH_SECONDS
        document = b""
        while chunk := response.read1(MAX_BYTES):
            document += chunk
            if len(document) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
            if time.monotonic() > give_up_at:
                raise TimeoutError
    return document


def read_keys(document: bytes) -> dict[str, jwt.PyJWK]:
    """Return the keys for signatures by their id; what is no key that we can use is left out.

    Raises ValueError where none is left, and RecursionError where the document nests too deep.
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
                continue  # PyJWT looks into some kinds of key without asking whether all is there
    if not found:
        raise ValueError("no keys")
    return found
