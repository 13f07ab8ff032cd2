"""Writes and reads leases: secrets that name a run, its owner and its conversation.

The database stores only the hash of the whole text, so no part of it can be changed.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from db import engine

MAX_CHARACTERS = 2048
_RANDOM_BYTES = 32
_NONE = bytes(16)
_LEAST_BYTES = 2 + 16 + 16 + _RANDOM_BYTES + 1


@dataclass(frozen=True)
class LeaseText:
    """A lease and its contents. Trust them only if the lease's hash is stored."""

    text: str
    run_id: str
    conversation_id: str | None
    user_id: str
    seconds: int
    """For how long the lease is valid after it was issued, and after each heartbeat."""

    @property
    def hash(self) -> bytes:
        return sha256(self.text.encode()).digest()

    @property
    def scope(self) -> engine.Lease:
        """What statements under this lease may see."""
        return engine.Lease(self.run_id, self.conversation_id)


def issue(*, run_id: str, conversation_id: str | None, user_id: str, seconds: int) -> LeaseText:
    """Return a new lease."""
    conversation = UUID(conversation_id).bytes if conversation_id else _NONE
    parts = (
        seconds.to_bytes(2),
        UUID(run_id).bytes,
        conversation,
        secrets.token_bytes(_RANDOM_BYTES),
        user_id.encode(),
    )
    text = base64.urlsafe_b64encode(b"".join(parts)).rstrip(b"=").decode()
    return LeaseText(text, run_id, conversation_id, user_id, seconds)


def read(text: str) -> LeaseText:
    """Return the contents of a lease, unverified. Raises ValueError if it cannot be a lease."""
    if len(text) > MAX_CHARACTERS or not text.isascii():
        raise ValueError("too long, or not ASCII")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if len(raw) < _LEAST_BYTES:
        raise ValueError("too short")
    conversation, user_id = raw[18:34], raw[34 + _RANDOM_BYTES :].decode()
    if "\0" in user_id:  # PostgreSQL has no such text
        raise ValueError("not a user")
    return LeaseText(
        text,
        run_id=str(UUID(bytes=raw[2:18])),
        conversation_id=None if conversation == _NONE else str(UUID(bytes=conversation)),
        user_id=user_id,
        seconds=int.from_bytes(raw[:2]),
    )
