"""What search looks for: the words of each message."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, String
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, MessageRole, Moment

PENDING_KILOBYTES = 256


class MessageTerms(Base):
    """The words of a message as hashes, and copies of what a search filters by.

    The key to the conversation, not to the message, spares each deleted message a search for its
    terms; its index starts with the conversation.
    """

    __tablename__ = "message_terms"

    conversation_id: Mapped[str] = mapped_column(Id, primary_key=True)
    message_id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    role: Mapped[str] = mapped_column(MessageRole)
    created_at: Mapped[datetime] = mapped_column(Moment)
    terms: Mapped[str] = mapped_column(TSVECTOR)

    __table_args__ = (
        ForeignKeyConstraint(
            ["conversation_id", "user_id"],
            ["conversations.id", "conversations.user_id"],
            ondelete="CASCADE",
        ),
        # Every search reads the whole list of entries that are not merged into the index yet.
        Index(
            "idx_message_terms_terms",
            "terms",
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": PENDING_KILOBYTES},
        ),
    )
