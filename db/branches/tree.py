"""Computes how the tree of a conversation's messages changes, without a database.

The active path starts with the first message and always ends in a leaf: a message without replies.
A reply has a higher position than its parent, so the newest message below another one is a leaf.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass
class Node:
    """A message's place. Without a number it is active and has no siblings."""

    id: str
    parent_id: str | None
    position: int
    active: bool
    index: int | None = None
    count: int | None = None


class Tree:
    """The messages of a conversation from a position on.

    Their parents may have lower positions. Then the tree does not contain them.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        """`nodes` are ordered by position."""
        self._nodes = {node.id: node for node in nodes}
        self._stored = {node.id: replace(node) for node in self._nodes.values()}

    def __getitem__(self, node_id: str) -> Node:
        """Return the message. Raises KeyError."""
        return self._nodes[node_id]

    def path(self) -> list[int]:
        """Return the positions of the active messages."""
        return [node.position for node in self._active()]

    def replies(self, parent_id: str | None) -> list[Node]:
        """Return the replies to a message, or the first messages, oldest first."""
        return [node for node in self._nodes.values() if node.parent_id == parent_id]

    def newest_below(self, node_id: str | None) -> Node | None:
        """Return the newest of the messages below one, which may be itself; None for all."""
        below = {node_id}
        newest = None
        for node in self._nodes.values():
            if node.id == node_id or node.parent_id in below:
                below.add(node.id)
                newest = node
        return newest

    def show(self, end: Node | None) -> None:
        """Let the active path end with a message, or be empty."""
        shown = []
        while end is not None and not end.active:
            shown.append(end)
            end = self._nodes.get(end.parent_id or "")
        last = 0 if end is None else end.position
        for node in self._active():
            if node.position > last:
                self._hide(node)
        for node in shown:
            node.active = True

    def add_reply(self, node: Node) -> None:
        """Add the newest message, which is active, as the last of the replies to its parent."""
        self._nodes[node.id] = node
        self._number(node.parent_id)

    def remove(self, node: Node) -> None:
        """Remove a message. Its replies become replies to its parent.

        If the active path would end before other messages, it goes on to the newest of them.
        """
        del self._nodes[node.id]
        for reply in self._nodes.values():
            if reply.parent_id == node.id:
                reply.parent_id = node.parent_id
        self._number(node.parent_id)
        if node.active and not any(each.position > node.position for each in self._active()):
            newest = self.newest_below(node.parent_id)
            if newest is not None:
                self.show(newest)

    def changed(self) -> list[Node]:
        """Return the messages whose places have changed and must be stored."""
        return [node for node in self._nodes.values() if node != self._stored.get(node.id)]

    def _active(self) -> Iterator[Node]:
        return (node for node in self._nodes.values() if node.active)

    def _hide(self, node: Node) -> None:
        node.active = False
        if node.count is None:
            node.index = node.count = 1

    def _number(self, parent_id: str | None) -> None:
        replies = self.replies(parent_id)
        if len(replies) == 1 and replies[0].count is None:
            return
        for index, node in enumerate(replies, start=1):
            node.index, node.count = index, len(replies)
