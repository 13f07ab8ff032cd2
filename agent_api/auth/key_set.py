"""Fetches and caches the public keys of an identity provider (JWKS, RFC 7517)."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from http.client import HTTPException

from agent_api.auth.key_download import FETCH_SECONDS, download, reason
from agent_api.auth.public_key import VerificationKey, from_jwk

logger = logging.getLogger(__name__)

RENEW_AFTER_FAILURE_SECONDS = 10
PAUSE_SECONDS = 2
"""Minimum time between two fetches, however many tokens have unknown keys."""


class KeysUnavailable(Exception):
    """The key is not known, and the provider cannot be reached."""


class KeySet:
    """Finds keys by their id, and fetches them again before they are `max_age` seconds old.

    From half of this age on, a key that is used starts a fetch in the background. If the age is
    reached without one, the next token waits for the fetch. While the provider cannot be reached,
    the known keys stay valid. Calls `on_change` if a fetch returns other keys than the one before.
    """

    def __init__(
        self, url: str, *, max_age: float, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._url = url
        self._max_age = max_age
        self._on_change = on_change
        self._keys: Sequence[VerificationKey] = ()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._fetch_deadline = 0.0
        self._next_fetch_at = 0.0
        self._renew_at = 0.0
        self._expires_at = 0.0
        self._last_fetch_failed = False

    def find(self, key_id: str | None) -> Sequence[VerificationKey]:
        """Return the keys that may have signed a token, without waiting.

        Raises KeysUnavailable if the key is not known and the last fetch failed. Starts a fetch in
        the background if the keys are old.
        """
        found = self._matching(key_id)
        if not found and self._last_fetch_failed:
            raise KeysUnavailable
        if found and time.monotonic() > self._renew_at:
            self.start_fetch()
        return found

    def _matching(self, key_id: str | None) -> Sequence[VerificationKey]:
        """Return the keys of this id. Without an id or a match, a key's missing id fits any."""
        if key_id is None:
            return self._keys
        named = [key for key in self._keys if key.key_id == key_id]
        return named or [key for key in self._keys if key.key_id is None]

    def must_fetch(self, key_id: str | None) -> bool:
        """Tell whether to call `fetch` before `find`."""
        is_expired = time.monotonic() > self._expires_at and not self._last_fetch_failed
        return is_expired or not self._matching(key_id)

    def seconds_left(self) -> float:
        """Return how long a token that is verified now may be trusted without asking again."""
        return max(self._expires_at, self._renew_at) - time.monotonic()

    def fetch(self) -> None:
        """Replace the keys by the provider's. Blocks for up to FETCH_SECONDS.

        Callers at the same time share one fetch. Does nothing less than PAUSE_SECONDS after the
        last one.
        """
        if (thread := self.start_fetch()) is not None:
            thread.join(max(0.0, self._fetch_deadline - time.monotonic()))

    def start_fetch(self) -> threading.Thread | None:
        """Return the thread that is fetching, or None if it is too early or no thread can start.

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
            self._next_fetch_at = now + PAUSE_SECONDS  # in case the thread does not start
            thread = threading.Thread(target=self._replace_keys, args=[now], daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system allows no more threads
                logger.warning("cannot fetch keys", extra={"reason": str(error)})
                return None
            self._thread = thread
            return thread

    def _replace_keys(self, started: float) -> None:
        renew_at = time.monotonic() + RENEW_AFTER_FAILURE_SECONDS
        try:
            keys = read_keys(download(self._url))
            if keys != self._keys:
                self._keys = keys
                self._on_change()
            self._expires_at = started + self._max_age
            self._last_fetch_failed = False
            renew_at = started + self._max_age / 2
        except (OSError, HTTPException, ValueError, RuntimeError) as error:
            # The known keys stay valid.
            logger.warning("cannot fetch keys", extra={"reason": reason(error)})
        finally:
            self._next_fetch_at = time.monotonic() + PAUSE_SECONDS
            self._renew_at = renew_at


def read_keys(document: bytes) -> list[VerificationKey]:
    """Return the keys of a key set that can verify tokens.

    Raises ValueError if the document has no such key or is not JSON, and RecursionError if it nests
    too deep.
    """
    members = json.loads(document)
    listed = members.get("keys") if isinstance(members, dict) else None
    found = [key for jwk in (listed if isinstance(listed, list) else []) if (key := from_jwk(jwk))]
    if not found:
        raise ValueError("the key set has no usable keys")
    return found
