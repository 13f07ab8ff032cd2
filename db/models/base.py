"""The base of all tables, and the types of their columns."""

import uuid_utils
from sqlalchemy import (
    Computed,
    DateTime,
    Enum,
    MetaData,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import DeclarativeBase

ROLES = ("user", "assistant", "system")
MEMBER_ROLES = ("viewer", "editor")
MAX_MEMBERS = 100
"""Each write to a shared conversation tells all of its members."""
MAX_LINKS = 100
"""How many links of a conversation can work at the same time."""
STATUSES = ("pending", "running", "succeeded", "failed", "timeout", "cancelled")
PREVIEW_CHARACTERS = 100
LISTED = ("user_id", "archived", "pinned")
"""What a list of conversations selects and orders by before the time."""
TAG_CHARACTERS = 50
MAX_TAGS = 20

Id = Uuid(as_uuid=False)
# JSON keeps the order of keys and the spelling of numbers; JSONB would expand exponents. None is
# stored as SQL NULL, because queries would otherwise also have to test for JSON null.
Json = JSON(none_as_null=True)
Moment = DateTime(timezone=True)
MessageRole = Enum(*ROLES, name="message_role")
RunStatus = Enum(*STATUSES, name="run_status")


def new_id() -> str:
    """Return a UUIDv7, so that consecutive rows are adjacent in the primary key's index."""
    return str(uuid_utils.uuid7())


def bytes_of(*columns: str) -> Computed:
    """Return the column `size`: the bytes of a row's texts and JSON, which limit a page."""
    parts = [f"coalesce(octet_length({column}::text), 0)" for column in columns]
    return Computed(" + ".join(parts), persisted=True)


class Base(DeclarativeBase):
    """Base of all tables. Every constraint has a name, so that migrations can refer to it.

    The keys of all rows with user data include their owner, so that the tables can be distributed
    by user (docs/decisions/0013).
    """

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "idx_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
