"""What the contract says of an operation's answers of one status: shape, headers, entity tag."""

from collections.abc import Mapping
from typing import Any

from agent_api.schemas import Schema


class Answer:
    """The response object of one status, compiled."""

    def __init__(self, response: Mapping[str, Any]) -> None:
        content = response.get("content", {}).get("application/json")
        headers = response.get("headers", {})
        required = {name for name, header in headers.items() if header.get("required")}
        self.schema = Schema(content["schema"]) if content else None
        self.headers = frozenset(required - {"X-Request-Id", "ETag"})
        """Those that a handler must give."""
        self.has_etag = "ETag" in headers
