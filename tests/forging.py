"""An identity provider whose tokens tests forge."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt

from tests.identity import KeyPair

ISSUER, AUDIENCE = "https://id.example.org", "agent-api"
Headers = list[tuple[bytes, bytes]]


def encoded(value: object) -> bytes:
    """Return a part of a token in base64url without padding (RFC 7515 section 2)."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def bearer(token: str | bytes) -> Headers:
    """Return the header that sends `token`."""
    return [(b"Authorization", b"Bearer " + (token.encode() if isinstance(token, str) else token))]


@dataclass
class Provider:
    """An identity provider that the server trusts, with ways to forge its tokens."""

    elsewhere: str
    """A URL of the attacker, which the server must never fetch."""
    rsa: KeyPair = field(default_factory=lambda: KeyPair("RS256", "rsa"))
    curve: KeyPair = field(default_factory=lambda: KeyPair("ES256", "curve"))
    edwards: KeyPair = field(default_factory=lambda: KeyPair("EdDSA", "edwards"))
    stranger: KeyPair = field(default_factory=lambda: KeyPair("RS256", "rsa"))
    """An unknown key with the id of a known one."""

    @property
    def keys(self) -> tuple[KeyPair, ...]:
        return self.rsa, self.curve, self.edwards

    def claims(self, **changes: object) -> dict[str, object]:
        """Return valid claims with `changes`; claims changed to None are left out."""
        now = int(time.time())
        good = {"sub": "mallory", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600}
        return {name: v for name, v in (good | changes).items() if v is not None}

    def signed(
        self,
        claims: object = None,
        *,
        key: KeyPair | None = None,
        head: dict[str, object] | bytes | None = None,
    ) -> str:
        """Return a token with a correct signature of `claims`, which are valid by default."""
        key = key or self.rsa
        if not isinstance(head, bytes):
            head = json.dumps({"alg": key.algorithm, "kid": key.key_id} | (head or {})).encode()
        body = encoded(self.claims() if claims is None else claims)
        signing_input = encoded(head) + b"." + body
        algorithm: Any = jwt.get_algorithm_by_name(key.algorithm)
        signature: bytes = algorithm.sign(signing_input, key.private)
        return (signing_input + b"." + encoded(signature)).decode()

    def with_claims(self, **changes: object) -> Headers:
        """Return the header with a valid token except for `changes` of the claims."""
        return bearer(self.signed(self.claims(**changes)))

    def with_head(self, **changes: object) -> Headers:
        """Return the header with a correctly signed token with `changes` of the token's header."""
        return bearer(self.signed(head=changes))

    def unsigned(self, algorithm: object, signature: bytes = b"") -> Headers:
        """Return an unsecured token (RFC 7519 section 6), optionally with a signature."""
        head = encoded({"alg": algorithm, "kid": self.rsa.key_id})
        return bearer(b".".join([head, encoded(self.claims()), signature]))

    def by_secret(self, secret: bytes, algorithm: str = "HS256") -> Headers:
        """Return a token whose HMAC is correct if the server uses `secret` as its secret."""
        digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
        head = encoded({"alg": algorithm, "kid": self.rsa.key_id})
        signing_input = head + b"." + encoded(self.claims())
        signature = hmac.digest(secret, signing_input, digest[algorithm])
        return bearer(signing_input + b"." + encoded(signature))

    def with_signature(self, change: Callable[[bytes], bytes]) -> Headers:
        """Return a valid token with a changed signature."""
        signing_input, _, signature = self.signed().rpartition(".")
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        return bearer(signing_input.encode() + b"." + encoded(change(raw)))

    def swapped(self) -> Headers:
        """Return the claims of one user with the signature of another user's token."""
        head, _, signature = self.signed().split(".")
        claims = encoded(self.claims(sub="alice")).decode()
        return bearer(f"{head}.{claims}.{signature}")
