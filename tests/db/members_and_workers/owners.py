"""Owners of conversations and runs, with what members and workers need to act for them."""

from typing import Any

from db import access, models
from db.conversations import conversations
from db.engine import Connection, Lease, MemberGrant, acting_under
from db.messages import message_edits
from tests.db.rows import insert_attachment, insert_conversation, insert_message, insert_run, share

SEEN_BY_MEMBERS = (
    *("conversations", "messages", "message_versions", "runs", "run_events", "shares"),
    *("memberships", "membership_tags", "chat_attachments"),
)
SEEN_BY_WORKERS = ("conversations", "messages", "runs", "run_events", "run_leases")


class Owner:
    """A user with two conversations, and a run without a conversation.

    Each conversation has an edited message, a run with a lease, and two members. The first one has
    a later run, too. The user and the first member have an attachment.
    """

    def __init__(self, connection: Connection, user: str) -> None:
        self.user = user
        both = insert_conversation(connection, user), insert_conversation(connection, user)
        self.conversation, self.other_conversation = both
        self.message, self.other_message = (insert_message(connection, each, user) for each in both)
        for message_id in (self.message, self.other_message):
            edit_message(connection, message_id, user)
        self.attachment = insert_attachment(connection, user)
        self.run, self.other_run, self.later_run, self.run_without_conversation = (
            insert_run(
                connection, user, conversation_id=each, status="running", input={"secret": 1}
            )
            for each in (*both, self.conversation, None)
        )
        for run in (self.run, self.other_run):
            connection.execute(
                "INSERT INTO run_leases VALUES (%(run)s, %(user)s, %(hash)s, 'w', now())",
                {"run": run, "user": user, "hash": bytes(32)},
            ).close()
        self.member, self.other_member = f"m-{user}", f"n-{user}"
        self.attachment_of_member = insert_attachment(connection, self.member)
        for each in both:
            for member in (self.member, self.other_member):
                share(connection, each, user, member, "editor")
            with acting_under(self.grant()._replace(conversation_id=each)):
                conversations.update(
                    connection, conversation_id=each, user_id=user, changes={"tags": ["t"]}
                )

    def grant(self, purpose: str = access.READ) -> MemberGrant:
        """Return what the first member may do in the first conversation."""
        return MemberGrant(self.user, self.conversation, self.member, "editor", purpose, self.run)

    @property
    def lease(self) -> Lease:
        """The lease on the first run."""
        return Lease(self.run, self.conversation)

    def message_row(self, **given: Any) -> dict[str, Any]:
        """Return the columns of a new message in the first conversation."""
        required = {
            "id": models.new_id(),
            "conversation_id": self.conversation,
            "user_id": self.user,
            "position": 9,
            "role": "user",
            "content": "Hello",
        }
        return required | given


def edit_message(connection: Connection, message_id: str, user: str) -> None:
    """Change the content of a message."""
    message_edits.update(
        connection, message_id=message_id, user_id=user, changes={"content": "Edited"}
    )
