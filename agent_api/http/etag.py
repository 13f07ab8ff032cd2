"""Entity tags: what they are made of, and how lists of them compare (RFC 9110 section 8.8.3)."""

import re
from hashlib import blake2b

TAG_LISTS = frozenset({"If-Match", "If-None-Match"})
"""The headers that hold a list of tags, which may come in several lines (RFC 9110 section 5.3)."""

_TAG = re.compile(r'(?:W/)?"[!#-~]*"')
_BYTES = 16


def of(document: bytes) -> str:
    """Return the strong tag of a document's JSON text: the same for the same text."""
    return f'"{blake2b(document, digest_size=_BYTES).hexdigest()}"'


def tags(field: str) -> list[str]:
    """Return the tags of a list that keeps the contract's pattern; none for `*`."""
    return _TAG.findall(field)


def matches_strongly(field: str, tag: str) -> bool:
    """Tell whether If-Match holds for what has the strong `tag`: a weak one never matches."""
    return field in (tag, "*") or tag in tags(field)


def matches_weakly(field: str, tag: str) -> bool:
    """Tell whether If-None-Match names the strong `tag`, be it weakened on its way."""
    return matches_strongly(field, tag) or f"W/{tag}" in tags(field)
