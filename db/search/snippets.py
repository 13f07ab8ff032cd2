"""Shows the part of a message that a search has found."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from db.characters import cut
from db.search import words
from db.search.query import Phrase, Query
from db.search.words import Word

MAX_CHARACTERS = 240
"""How much of the text a snippet shows."""
_BEFORE = 60
"""How much of that comes before the first match."""
MAX_COMPARED = 100_000
"""How many words are compared to find phrases. Only repetitive texts and searches need more."""
_ELLIPSIS = "…"


class Snippet(NamedTuple):
    """A part of a text, and what to highlight in it."""

    text: str
    highlights: list[tuple[int, int]]
    """Where matches start and end, in UTF-16 code units of the text; they do not overlap."""


def of(content: str, query: Query) -> Snippet:
    """Return the part of a message with the most different matches, or its beginning."""
    spans = _merged(sorted(_matches(content, query)))
    first = _best(spans)
    start = _start(content, spans[first][0] if spans else 0)
    text = cut(content[start:], MAX_CHARACTERS)
    end = start + len(text)
    before = _ELLIPSIS if start > 0 else ""
    after = _ELLIPSIS if end < len(content) else ""
    moved = len(before) - start
    shown = before + text + after
    highlights = [
        (_units(shown[: moved + from_]), _units(shown[: moved + min(to, end)]))
        for from_, to, _ in spans
        if start <= from_ < end
    ]
    return Snippet(shown, highlights)


_Span = tuple[int, int, int]
"""Start and end in the text, and the number of the phrase."""


def _matches(content: str, query: Query) -> Iterator[_Span]:
    phrases = [phrase for group in query.groups for phrase in group]
    wanted = {word.text for phrase in phrases for word in phrase}
    found = [word for word in words.split(content) if word.text in wanted]
    at = {(word.text, word.position): word for word in found}
    starting: dict[str, list[int]] = {}
    for number, phrase in enumerate(phrases):
        starting.setdefault(phrase[0].text, []).append(number)
    compared = 0
    for word in found:
        for number in starting.get(word.text, ()):
            compared += len(phrases[number])
            if compared > MAX_COMPARED:
                return
            last = _last(phrases[number], word, at)
            if last is not None:
                yield word.start, last.end, number


def _last(phrase: Phrase, first: Word, at: dict[tuple[str, int], Word]) -> Word | None:
    """Return the last word of a phrase that begins with `first`, or None if it does not follow."""
    position = first.position
    last = first
    for before, word in pairwise(phrase):
        position += word.position - before.position
        following = at.get((word.text, position))
        if following is None:
            return None
        last = following
    return last


def _merged(spans: Sequence[_Span]) -> list[_Span]:
    """Join spans that overlap. Adjacent ones stay apart."""
    merged: list[_Span] = []
    for start, end, number in spans:
        if merged and start < merged[-1][1]:
            before = merged[-1]
            merged[-1] = (before[0], max(before[1], end), before[2])
        else:
            merged.append((start, end, number))
    return merged


def _best(spans: Sequence[_Span]) -> int:
    """Return the index of the span from which on a snippet shows the most different phrases."""
    best, most = 0, 0
    counts: dict[int, int] = {}
    last = 0
    for first, (start, _, number) in enumerate(spans):
        while last < len(spans) and spans[last][1] <= start + MAX_CHARACTERS - _BEFORE:
            counts[spans[last][2]] = counts.get(spans[last][2], 0) + 1
            last += 1
        if len(counts) > most:
            best, most = first, len(counts)
        if last > first:
            counts[number] -= 1
            if not counts[number]:
                del counts[number]
        else:
            last = first + 1
    return best


def _start(content: str, match: int) -> int:
    """Return where the snippet starts: at a word not far before the match."""
    if match <= _BEFORE:
        return 0
    start = match - _BEFORE
    space = content.find(" ", start, match)
    return space + 1 if space >= 0 else start


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
