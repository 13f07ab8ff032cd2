"""Owns what the embedded PostgreSQL says when it cannot be used."""

ELSEWHERE = "set AGENT_API_DATABASE_URL to a PostgreSQL of your own"


class EmbeddedError(Exception):
    """The embedded server cannot be used; the message is one line that says what to do."""
