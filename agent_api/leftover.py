"""What a client still sends when it has its answer: read and thrown away, within bounds."""

MAX_BYTES = 64 * 1024 * 1024
"""Who has sent so much more without a look at the answer will not look at it."""


class Leftover:
    """How much came since the answer; a close before its end would take the answer away.

    The system answers what comes to a closed socket with a reset, and the client's system then
    drops what its program has not read yet (RFC 9112 section 9.6).
    """

    __slots__ = ("_since", "amount")

    def __init__(self, now: float) -> None:
        self._since = now
        self.amount = 0

    def is_too_much(self, now: float, patience: float) -> bool:
        """Tell whether the client had its time, `patience` seconds, or sent more than enough."""
        return now > self._since + patience or self.amount > MAX_BYTES
