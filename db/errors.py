"""The exceptions that queries, connections and the embedded server raise."""

from collections.abc import Mapping


class Failure(Exception):
    """Base class of the outcomes that callers are expected to handle."""


class Missing(Failure):
    """No row has the id."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"this {resource} does not exist")
        self.resource = resource


class Denied(Failure):
    """The row exists, but the acting user may not see or change it."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"this {resource} is another user's")
        self.resource = resource


class RoleDenied(Denied):
    """The acting user is a member of the conversation, with a role that does not allow this."""

    def __init__(self, resource: str, role: str) -> None:
        super().__init__(resource)
        self.role = role


class Invalid(Failure):
    """A property of the request does not fit what is stored; `detail` says what it needs."""

    part = "body"
    """The part of the request that the property is in."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field
        self.detail = detail

    @property
    def places(self) -> dict[str, str]:
        """Return what is wrong, by the place in the body."""
        return {f"/{self.field}": self.detail}


class InvalidItems(Invalid):
    """Some items of an array in the request do not fit what is stored."""

    def __init__(self, field: str, details: Mapping[int, str]) -> None:
        """`details` says what is wrong with the items, by their index."""
        super().__init__(field, "; ".join(details.values()))
        self.details = details

    @property
    def places(self) -> dict[str, str]:
        """Return what is wrong, by the place in the body."""
        return {f"/{self.field}/{index}": detail for index, detail in self.details.items()}


class Reference(Invalid):
    """A stored value would refer to a row that does not exist or belongs to another user.

    The error does not say which, because users must not learn about rows they may not see.
    """

    def __init__(self, field: str) -> None:
        super().__init__(field, "does not refer to anything you own")


class SnapshotTooLarge(Invalid):
    """The conversation has more text than a public link can show."""

    part = "path"

    def __init__(self, mebibytes: int) -> None:
        super().__init__("conversation_id", f"has more text than a link can show, {mebibytes} MiB")


class Conflict(Failure):
    """The row's state does not allow the change; `detail` lists the allowed changes."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class PositionExpired(Failure):
    """Changes after the position may have been deleted, or the log has no such position."""


class ConversationBusy(Failure):
    """Other runs of the conversation are active."""


class Unavailable(Failure):
    """The database is unreachable, disconnected or overloaded; a retry may succeed.

    The driver's exception is its `__cause__`.
    """


class Busy(Unavailable):
    """No connection became free in time. The database may be well."""


class Timeout(Failure):
    """A statement or its wait for a lock exceeded the time limit."""


class TooLarge(Failure):
    """The result exceeds 1 GB, PostgreSQL's limit for one value."""


class MigrationRefused(Failure):
    """The schema cannot be changed and nothing was changed; the message says what to do."""


class EmbeddedError(Exception):
    """The embedded server cannot be used; the one-line message says what to do."""


class Refused(Exception):
    """The database refused a statement. This is a defect of the API, not a Failure.

    The text contains the SQLSTATE and the names of the objects involved. It omits the driver's
    message, which quotes the statement and the row.
    """


def describe(error: Exception) -> str:
    """Return the message of an error and the first line of the driver's message.

    It may name a host and a user, but contains no password and no data of a row.
    """
    cause = error.__cause__
    driver = cause if hasattr(cause, "pgcode") else getattr(cause, "orig", "")
    reason = str(driver).partition("\n")[0]
    return f"{error}: {reason}" if reason else str(error)
