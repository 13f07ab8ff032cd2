"""Knows characters as readers see them: where text can be cut, and whether it shows anything."""

import regex

_CHARACTER = regex.compile(r"\X")  # an extended grapheme cluster, see Unicode Annex 29
# Spaces, controls, what fonts show as nothing, such as U+200B, and the empty Braille pattern.
_VISIBLE = regex.compile(r"[^\s\p{Z}\p{Cc}\p{Default_Ignorable_Code_Point}\u2800]")


def cut(text: str, limit: int) -> str:
    """Return the beginning of `text`, at most `limit` code points and whole characters.

    A first character that is longer than the limit, such as a letter with a hundred accents, is
    cut between code points.
    """
    if len(text) <= limit:
        return text
    around = text[limit - 1 : limit + 1]
    if around.isascii() and around != "\r\n":  # always a boundary, found without looking for it
        return text[:limit]
    # One code point more shows whether the last character ends at the limit.
    *_, last = _CHARACTER.finditer(text, 0, limit + 1)
    return text[: last.start() or limit]


def is_visible(text: str) -> bool:
    """Tell whether readers can see at least one character of the text."""
    return _VISIBLE.search(text) is not None
