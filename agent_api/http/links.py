"""The secrets and addresses of public links."""

import secrets
from contextvars import ContextVar
from hashlib import sha256

PATH = "/shared/"
"""The path of get_shared_conversation, to which the secret is added."""

base: ContextVar[str] = ContextVar("base of links", default=PATH)
"""What comes before the secret in the address of a link."""


def new_secret() -> str:
    """Return a secret of 256 bits, 43 characters of base64url."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """Return the hash that is stored. A salt is not needed: a secret has 256 random bits."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def address_of(secret: str) -> str:
    """Return the address of a link: a path of this server, unless another one is configured."""
    return base.get() + secret
