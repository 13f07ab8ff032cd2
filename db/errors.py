"""What a query can say instead of an answer."""


class Failure(Exception):
    """The root of this tree: an outcome that a caller is expected to handle."""


class Missing(Failure):
    """No row has this id."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"there is no such {resource}")
        self.resource = resource


class Denied(Failure):
    """The row exists, and the acting user may not see or change it."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"this {resource} is another user's")
        self.resource = resource


class Reference(Failure):
    """A value that was to be stored names a row that does not exist or is not the acting user's.

    The two are not told apart: whoever may not see a row does not learn that it exists.
    """

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} names a row that cannot be linked to")
        self.field = field


class Conflict(Failure):
    """The row is not in a state that allows the change; `detail` says what would be allowed."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Unavailable(Failure):
    """The database cannot be reached, went away, or cannot take the work now; a retry may help.

    The driver's exception is the cause.
    """


class Timeout(Failure):
    """A statement ran longer, or waited longer for a lock, than it may."""


class TooLarge(Failure):
    """The answer would be larger than PostgreSQL can make one value, which is 1 GB."""


class SchemaAhead(Failure):
    """The schema is at a revision that this code does not know: a newer version migrated it."""


class EmbeddedError(Exception):
    """The embedded server cannot be used; the message is one line that says what to do."""


class Refused(Exception):
    """A statement that the database refused: a defect of ours, so no Failure.

    Its text is the SQLSTATE and the names of what was concerned. The driver's own words stay out:
    they quote the statement and the row.
    """
