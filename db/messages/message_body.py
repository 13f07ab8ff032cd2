"""Reads the columns of a new message from the body of a request."""

import re
from collections.abc import Mapping
from typing import Any

from db.characters import cut

MAX_TITLE_LENGTH = 60
_WHOLE_WORDS = re.compile(rf".{{1,{MAX_TITLE_LENGTH}}}(?=\s)")
_OPTIONAL = (
    *("parts", "attachments", "attachment_ids", "metadata", "run_id", "routing_decision"),
    "tool_calls",
    *("parent_id", "sibling_of"),
)


def read(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments for `messages.insert`. The first user message names the conversation."""
    arguments = {name: body.get(name) for name in _OPTIONAL}
    title = title_from(body["content"]) if body["role"] == "user" else None
    return arguments | {"role": body["role"], "content": body["content"], "title": title}


def title_from(content: str) -> str | None:
    """Return the first line with visible text, or None if all lines are blank.

    Longer lines are cut to MAX_TITLE_LENGTH code points, between words if possible, else between
    characters as readers see them.
    """
    line = next((line.strip() for line in content.splitlines() if _has_visible_text(line)), None)
    if line is None or len(line) <= MAX_TITLE_LENGTH:
        return line
    whole_words = _WHOLE_WORDS.match(line)
    return cut(line, len(whole_words[0].rstrip()) if whole_words else MAX_TITLE_LENGTH)


def _has_visible_text(line: str) -> bool:
    """Tell whether a line has more than spaces, zero-width and control characters."""
    return any(character.isprintable() and not character.isspace() for character in line)


def needs_transaction(body: Mapping[str, Any]) -> bool:
    """Tell whether inserting the message takes more than one statement."""
    return any(body.get(name) for name in ("attachment_ids", "parent_id", "sibling_of"))
