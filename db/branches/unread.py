"""Computes what is unread after the active path of a conversation has changed."""

from bisect import bisect_right
from collections.abc import Sequence


def count(
    *, read_position: int, unread_count: int, before: Sequence[int], after: Sequence[int]
) -> tuple[int, int]:
    """Return the new read position and number of unread messages.

    `before` and `after` are the positions of the active messages from the one on where the path has
    changed. Up to now the last `unread_count` active messages were unread; the read position can
    be lower, because messages from before unread ones were counted are read. It does not get lower:
    if the paths have nothing in common, the one that is active now may have been read.
    """
    if unread_count < len(before):
        read_position = max(read_position, before[-unread_count - 1])
    unread_before = max(unread_count - len(before), 0)
    return read_position, unread_before + len(after) - bisect_right(after, read_position)
