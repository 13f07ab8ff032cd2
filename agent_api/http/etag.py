"""Computes and compares entity tags (RFC 9110 section 8.8.3)."""

import re
from hashlib import blake2b

TAG_LISTS = frozenset({"If-Match", "If-None-Match"})
"""Headers with a list of tags, possibly on several lines (RFC 9110 section 5.3)."""

# Other servers' tags may contain obs-text, bytes beyond ASCII, here decoded as Latin-1.
_TAG = re.compile(r'(?:W/)?"[!#-~\x80-\xff]*"')
_BYTES = 16


def of(document: bytes) -> str:
    """Return the strong tag of a JSON text. Equal texts have equal tags."""
    return f'"{blake2b(document, digest_size=_BYTES).hexdigest()}"'


def tags(field: str) -> list[str]:
    """Return the tags of a header that matches the contract's pattern; none for `*`."""
    return _TAG.findall(field)


def matches_strongly(field: str, tag: str) -> bool:
    """Tell whether If-Match is true for the strong `tag`. Weak tags never match."""
    return field in (tag, "*") or tag in tags(field)


def matches_weakly(field: str, tag: str) -> bool:
    """Tell whether If-None-Match lists the strong `tag` or its weak form."""
    return matches_strongly(field, tag) or f"W/{tag}" in tags(field)
