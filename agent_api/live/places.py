"""Counts what users have open in a process, up to limits."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent_api.http.problems import Problem, Unavailable


class Places:
    """Places for something that stays open, such as a stream."""

    def __init__(
        self,
        most: int,
        most_per_user: int,
        *,
        what: str,
        refusal: Callable[[int], Problem],
        on_change: Callable[[int], None],
    ) -> None:
        """`refusal` returns the problem of a user who has all of his places.

        `on_change` is called with each change of the number of taken places.
        """
        self._most = most
        self._most_per_user = most_per_user
        self._what = what
        self._refusal = refusal
        self._on_change = on_change
        self._taken: Counter[str] = Counter()
        self._count = 0

    def take(self, user_id: str) -> None:
        """Take a place until `free`.

        Raises the refusal, and Unavailable if the process has no place.
        """
        if self._count >= self._most:
            raise Unavailable(f"The server has too many {self._what}. Try again.")
        if self._taken[user_id] >= self._most_per_user:
            raise self._refusal(self._most_per_user)
        self._change(user_id, 1)

    def free(self, user_id: str) -> None:
        """Free a place of the user."""
        self._change(user_id, -1)
        if not self._taken[user_id]:
            del self._taken[user_id]

    @contextmanager
    def taken(self, user_id: str) -> Iterator[None]:
        """Take a place until the block ends."""
        self.take(user_id)
        try:
            yield
        finally:
            self.free(user_id)

    def _change(self, user_id: str, change: int) -> None:
        self._taken[user_id] += change
        self._count += change
        self._on_change(change)
