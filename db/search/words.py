"""Splits text into the words that search compares.

Words are compared without case and, in scripts that write accents as marks, without accents. Text
in scripts that have no spaces between words, and Korean, is split into single characters and pairs
of characters, so that a part of a sentence can be found.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

MAX_CHARACTERS = 100_000
"""The rest of a longer text is not searched."""
MAX_POSITION = 16_000
"""Words after this one are not searched. PostgreSQL stores positions up to 16,383."""

_MARK = "".join(
    re.escape(c) for c in map(chr, range(0x10000)) if unicodedata.category(c).startswith("M")
)
_JOINERS = "\u200c\u200d"
# Thai and Lao, Burmese, Hangul, Khmer, the characters of Chinese and Japanese, and their halfwidth
# forms.
_PACKED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    "\uf900-\ufaff\uff66-\uffdc\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_WORD = re.compile(rf"[^\W_]+(?:[{_MARK}{_JOINERS}]+[^\W_]*)*")
_IS_PACKED = re.compile(f"[{_PACKED}]")
_PART = re.compile(f"([{_PACKED}]+)|[^{_PACKED}]+")

# Accents of Latin, Greek and Cyrillic, vowel points of Hebrew and Arabic, and what joins letters.
_IGNORED = dict.fromkeys(
    [
        *range(0x300, 0x370),
        *range(0x591, 0x5C8),
        *range(0x610, 0x61B),
        *(0x640, *range(0x64B, 0x660), 0x670),
        *map(ord, _JOINERS),
    ]
)
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})


# Texts, because writing numbers took half of the time.
_POSITIONS = [str(number) for number in range(1, MAX_POSITION + 1)]
_ENOUGH = 2000
"""PostgreSQL stores at most 256 positions of a word, which take fewer characters than this."""


class Word(NamedTuple):
    """A word or, in some scripts, one or two characters, and its place in the text."""

    text: str
    position: int
    """Counts words, and characters of scripts without spaces, from 1."""
    start: int
    end: int


def split(text: str, *, for_query: bool = False) -> Iterator[Word]:
    """Yield the words of a text in their order.

    Characters of scripts without spaces come one by one and as pairs. A query has single
    characters only if they have no neighbours.
    """
    position = 1
    for match in _WORD.finditer(text, 0, MAX_CHARACTERS):
        if position > MAX_POSITION:
            return
        if match[0].isascii():  # most words, in half the time
            yield Word(match[0].lower(), position, *match.span())
            position += 1
            continue
        for part in _PART.finditer(match[0]):
            if position > MAX_POSITION:
                return
            start = match.start() + part.start()
            if part[1] is not None:
                folded = unicodedata.normalize("NFKC", part[0])
                places = _places(part[0], folded, start)
                yield from _characters(folded, position, places, for_query=for_query)
                position += len(folded)
            elif folded := fold(part[0]):
                yield Word(folded, position, start, match.start() + part.end())
                position += 1


def _places(part: str, folded: str, start: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return where the folded characters of a part of the text start, and where they end.

    One can become several, such as the vowel "am" of Thai. If several were composed to one, the
    places of single ones are not known.
    """
    end = start + len(part)
    if len(folded) == len(part):
        return range(start, end), range(start + 1, end + 1)
    each = [unicodedata.normalize("NFKC", character) for character in part]
    if "".join(each) != folded:
        return [start] * len(folded), [end] * len(folded)
    starts = [place for place, texts in enumerate(each, start) for _ in texts]
    return starts, [place + 1 for place in starts]


def _characters(
    folded: str,
    position: int,
    places: tuple[Sequence[int], Sequence[int]],
    *,
    for_query: bool,
) -> Iterator[Word]:
    starts, ends = places
    lengths = (2,) if for_query and len(folded) > 1 else (1, 2)
    for index in range(min(len(folded), MAX_POSITION + 1 - position)):
        for length in lengths:
            last = index + length
            if last <= len(folded):
                yield Word(folded[index:last], position + index, starts[index], ends[last - 1])


def positions(text: str) -> dict[str, str]:
    """Return the positions of each word, with commas between them: what `split` yields, faster."""
    if text.isascii():
        words = _ASCII_WORD.findall(text[:MAX_CHARACTERS].lower())
    elif _IS_PACKED.search(text):
        return _collect((_POSITIONS[each.position - 1], each.text) for each in split(text))
    else:
        words = [word for each in _WORD.findall(text, 0, MAX_CHARACTERS) if (word := fold(each))]
    return _collect(zip(_POSITIONS, words, strict=False))


def _collect(words: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for position, word in words:
        places = found.get(word)
        if places is None:
            found[word] = position
        elif len(places) < _ENOUGH:
            found[word] = f"{places},{position}"
    return found


def cost(text: str) -> int:
    """Return how many bytes of JSON take as long to convert as this text to split."""
    return len(text) * (32 if text.isascii() else 128)


def fold(word: str) -> str:
    """Return what words with other case and accents have in common; it can be empty."""
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.casefold()).casefold().translate(_IGNORED)
    return unicodedata.normalize("NFKC", plain).translate(_LETTERS)
