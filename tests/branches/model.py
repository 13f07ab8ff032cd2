"""A simple model of a conversation's messages: every rule in the plainest form, without speed."""

from dataclasses import dataclass, field


@dataclass(eq=False)
class Posted:
    """A message of the model."""

    content: str
    parent: "Posted | None"
    role: str


@dataclass
class Model:
    """All messages in the order in which they were posted, and the last one of the active path."""

    messages: list[Posted] = field(default_factory=list)
    leaf: Posted | None = None

    def path(self, leaf: Posted | None = None) -> list[Posted]:
        """Return the messages from the first one to a leaf, by default that of the active path."""
        found: list[Posted] = []
        each = leaf or self.leaf
        while each is not None:
            found.insert(0, each)
            each = each.parent
        return found

    def siblings(self, message: Posted) -> list[Posted]:
        """Return the messages with the same parent, oldest first."""
        return [each for each in self.messages if each.parent is message.parent]

    def below(self, message: Posted | None) -> list[Posted]:
        """Return the messages whose path contains a message, oldest first."""
        return [each for each in self.messages if message is None or message in self.path(each)]

    def post(self, content: str, parent: Posted | None, role: str) -> Posted:
        """Post a message, which becomes the end of the active path."""
        self.leaf = Posted(content, parent, role)
        self.messages.append(self.leaf)
        return self.leaf

    def activate(self, message: Posted) -> None:
        """Let the path end with the newest message below one."""
        self.leaf = self.below(message)[-1]

    def delete(self, message: Posted) -> None:
        """Delete a message."""
        self.messages.remove(message)
        for each in self.messages:
            if each.parent is message:
                each.parent = message.parent
        if self.leaf is message:
            below = self.below(message.parent)
            self.leaf = below[-1] if below else None
