"""Reads times that clients send as parameters."""

from datetime import UTC, datetime

from agent_api.http.problems import ValidationFailed, field_error


def read_time(text: str | None, *, name: str) -> str | None:
    """Return the time in UTC, in a form that PostgreSQL reads; None without one.

    Raises ValidationFailed for the query parameter `name` if the time is a leap second or outside
    the years 1 to 9999. The contract's format date-time allows both.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValidationFailed(
            [field_error("query", f"/{name}", "must be a time in the years 1 to 9999")]
        ) from error
    return moment.isoformat()
