"""A client that keeps a copy of what its user can read by following the log of changes."""

from collections.abc import Iterator

import httpx

from tests.calls import Json, read, read_all

CHANGES = "/changes"
SETTINGS = "/users/me/chat-settings"
GONE = (403, 404)
"""The answers for what is not shared any more, and for what was deleted."""


def position(client: httpx.Client) -> int:
    """Return the current position in the user's log."""
    page = read(client, CHANGES)
    assert page["changes"] == []
    last: int = page["last_sequence"]
    return last


def changes_after(client: httpx.Client, after: int, limit: int = 100) -> Iterator[Json]:
    """Yield the changes after a position up to the end of the log, page by page."""
    while True:
        page = read(client, CHANGES, after=after, limit=limit)
        numbers = [each["sequence"] for each in page["changes"]]
        assert numbers == list(range(after + 1, after + 1 + len(numbers)))
        yield from page["changes"]
        after += len(numbers)
        if after == page["last_sequence"]:
            return


class Mirror:
    """A copy of a user's data and of what is shared with the user: documents by path."""

    def __init__(self, client: httpx.Client) -> None:
        """Take a position, then read the lists."""
        self._client = client
        self.position = position(client)
        self.documents = state(client)
        self._tags: dict[str, str] = {}

    def follow(self, limit: int = 100) -> None:
        """Apply the changes up to the end of the log."""
        for change in changes_after(self._client, self.position, limit):
            self._apply(change)
            self.position = change["sequence"]

    def _apply(self, change: Json) -> None:
        kind, _, how = change["type"].partition(".")
        if kind == "share":  # a list of its own, which this copy does not have
            return
        conversation = f"/conversations/{change['conversation_id']}"
        path = {
            "conversation": conversation,
            "message": f"/messages/{change['id']}",
            "run": f"/runs/{change['id']}",
            "chat_attachment": f"/chat-attachments/{change['id']}",
            "settings": SETTINGS,
        }[kind]
        if change["etag"] is None:
            self.documents.pop(path, None)
        elif change["etag"] != self._tags.get(path):
            self._get(path)
        if kind == "message":
            self._get(conversation)
            for attachment in self.documents.get(path, {}).get("chat_attachments", ()):
                self._get(f"/chat-attachments/{attachment['id']}")
        if change["type"] == "message.created" and path not in self.documents:
            self._get_unlinked_attachments()
        if (kind, how) == ("conversation", "created"):
            self._read_messages(conversation)
        if change["type"] in ("conversation.branch_activated", "message.deleted"):
            for path in self._messages_of(change["conversation_id"]):
                del self.documents[path]
            self._read_messages(conversation)
        if how == "deleted":
            self._forget(kind, change["id"])

    def _get(self, path: str) -> None:
        response = self._client.get(path, params={"include_messages": False})
        if response.status_code in GONE:  # which is a later change
            self.documents.pop(path, None)
            return
        assert response.status_code == 200, response.text
        self.documents[path] = response.json()
        self._tags[path] = response.headers["etag"]
        if not self.documents[path].get("active", True):  # the copy has only active branches
            del self.documents[path]

    def _get_unlinked_attachments(self) -> None:
        """Get what a message may have had that was deleted before the copy knew it."""
        for path, document in list(self.documents.items()):
            if path.startswith("/chat-attachments/") and document["message_id"] is None:
                self._get(path)

    def _read_messages(self, conversation: str) -> None:
        """Read the messages of a conversation that may have been shared after they were posted."""
        found = self._client.get(conversation, params={"message_limit": 500})
        if found.status_code not in GONE:
            self.documents |= _messages_in(found)

    def _messages_of(self, conversation_id: str) -> list[str]:
        return [
            path
            for path, document in self.documents.items()
            if path.startswith("/messages/") and document["conversation_id"] == conversation_id
        ]

    def _forget(self, kind: str, deleted_id: str) -> None:
        """Do what a deletion does to the messages, attachments and runs of what was deleted."""
        for path, document in list(self.documents.items()):
            if document.get(f"{kind}_id") == deleted_id:
                if path.startswith(("/messages/", "/chat-attachments/")):
                    del self.documents[path]
                else:
                    self._get(path)


def state(client: httpx.Client) -> dict[str, Json]:
    """Return all of the user's documents by path, as the lists have them."""
    documents = {SETTINGS: read(client, SETTINGS)}
    for conversation in read_all(client, "/conversations", limit=100):
        path = f"/conversations/{conversation['id']}"
        found = client.get(path, params={"message_limit": 500})
        if found.status_code in GONE:
            continue
        documents[path] = conversation
        documents |= _messages_in(found)
    for run in read_all(client, "/runs", limit=100):
        documents[f"/runs/{run['id']}"] = run
    for attachment in read_all(client, "/chat-attachments", limit=100):
        documents[f"/chat-attachments/{attachment['id']}"] = attachment
    return documents


def _messages_in(found: httpx.Response) -> dict[str, Json]:
    messages = found.json()["messages"]
    assert len(messages) < 500
    return {f"/messages/{message['id']}": message for message in messages}
