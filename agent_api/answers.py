"""What the contract says of an operation's answers of one status: shape, headers, entity tag."""

from collections.abc import Mapping
from typing import Any

from agent_api import etag
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
        self._has_etag = "ETag" in headers
        self._extras = _optional_properties(content["schema"]) if content else frozenset()

    def with_etag(self, headers: dict[str, str], document: Any, as_json: bytes) -> dict[str, str]:
        """Return the headers, with the document's ETag where the contract has one.

        What a document holds only on request, such as a conversation's messages, is not in the tag:
        it is one for a resource, wherever that is sent.
        """
        if not self._has_etag:
            return headers
        if self._extras.isdisjoint(document):
            return {**headers, "ETag": etag.of_json(as_json)}
        bare = {name: value for name, value in document.items() if name not in self._extras}
        return {**headers, "ETag": etag.of(bare)}


def _optional_properties(schema: Mapping[str, Any]) -> frozenset[str]:
    members = [schema, *schema.get("allOf", ())]
    named = {name for member in members for name in member.get("properties", ())}
    return frozenset(named.difference(*(member.get("required", ()) for member in members)))
