"""The keys of an identity provider (JWKS, RFC 7517): fetched, remembered, renewed."""

import logging
import threading
import time

import jwt

logger = logging.getLogger(__name__)

FETCH_SECONDS = 5
"""How long the provider may take to answer."""
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
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._lock = threading.Lock()
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
        if key and time.monotonic() > self._renew_at and not self._lock.locked():
            threading.Thread(target=self.fetch, daemon=True).start()
        return key

    def knows(self, key_id: str) -> bool:
        """Tell whether the key is known; if not, `fetch` may bring it."""
        return key_id in self._keys

    def fetch(self) -> None:
        """Replace the keys by the provider's, within FETCH_SECONDS; of several callers one asks."""
        with self._lock:
            if time.monotonic() < self._not_before:
                return
            try:
                fetched = jwt.PyJWKSet.from_dict(self._client.fetch_data()).keys
            except (jwt.PyJWTError, OSError, ValueError) as error:
                # No connection, no answer, no JSON, no keys: what is known stays.
                logger.warning("keys cannot be fetched", extra={"reason": type(error).__name__})
                self._failed = True
                self._not_before = time.monotonic() + PAUSE_SECONDS
                self._renew_at = time.monotonic() + RENEW_AFTER_FAILURE_SECONDS
                return
            signing = (key for key in fetched if key.public_key_use in ("sig", None))
            self._keys = {key.key_id: key for key in signing if key.key_id}
            self._failed = False
            self._not_before = time.monotonic() + PAUSE_SECONDS
            self._renew_at = time.monotonic() + RENEW_SECONDS
