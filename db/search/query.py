"""Reads a search in the syntax of web searches: words, "phrases", -exclusions, or."""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import regex

from db.errors import Failure
from db.search import lexemes, words
from db.search.words import Word

MAX_WORDS = 64
MAX_ALTERNATIVES = 16
"""The time to rank a message grows with the words that it has, and with `or` it needs only one."""

_ITEM = regex.compile(r'(?P<minus>-)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»", '"'))


class Unsearchable(Failure):
    """The search has no words to look for, or too many."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the search {detail}")
        self.detail = detail


Phrase = Sequence[Word]
"""Words that follow each other; often only one."""


class Query(NamedTuple):
    """A message is found if it has one phrase of each group, and no excluded one."""

    groups: Sequence[Sequence[Phrase]]
    excluded: Sequence[Phrase]

    def tsquery(self, user_id: str) -> str:
        """Return the text of the tsquery for messages in a user's conversations."""
        lexeme = lexemes.of(user_id)

        def written(phrase: Phrase) -> str:
            parts = [lexeme(phrase[0].text)]
            for before, word in pairwise(phrase):
                parts.append(f"<{word.position - before.position}> {lexeme(word.text)}")
            return f"({' '.join(parts)})"

        groups = dict.fromkeys(" | ".join(map(written, group)) for group in self.groups)
        wanted = [f"({group})" for group in groups]
        return " & ".join([*wanted, *(f"!{written(phrase)}" for phrase in self.excluded)])


class _Item(NamedTuple):
    phrase: Phrase
    is_excluded: bool
    is_or: bool


def parse(text: str) -> Query:
    """Read a search. Raises Unsearchable.

    `or` between two terms is an operator, which binds more closely than the space between other
    terms; elsewhere it is a word.
    """
    items = list(_items(text.translate(_QUOTES)))
    groups: list[list[Phrase]] = []
    excluded: list[Phrase] = []
    joins = False
    for index, item in enumerate(items):
        if item.is_excluded:
            excluded.append(item.phrase)
        elif item.is_or and not joins and _is_between(items, index):
            joins = True
        elif joins:
            groups[-1].append(item.phrase)
            joins = False
        else:
            groups.append([item.phrase])
    groups = [_distinct(group) for group in groups]
    if sum(map(len, [*chain.from_iterable(groups), *excluded])) > MAX_WORDS:
        raise Unsearchable(f"has more than {MAX_WORDS} words: use fewer")
    if sum(len(group) for group in groups if len(group) > 1) > MAX_ALTERNATIVES:
        raise Unsearchable(f'has more than {MAX_ALTERNATIVES} alternatives with "or": use fewer')
    if not groups:
        raise Unsearchable(
            "has only exclusions: add a word to look for" if excluded else "has no word to look for"
        )
    return Query(groups, excluded)


def _distinct(group: Sequence[Phrase]) -> list[Phrase]:
    return [*{_texts(phrase): phrase for phrase in group}.values()]


def _texts(phrase: Phrase) -> tuple[str, ...]:
    return tuple(word.text for word in phrase)


def _is_between(items: Sequence[_Item], index: int) -> bool:
    around = [items[each] for each in (index - 1, index + 1) if 0 <= each < len(items)]
    return len(around) == 2 and not any(item.is_excluded for item in around)


def _items(text: str) -> Iterator[_Item]:
    for match in _ITEM.finditer(text):
        word = match["word"]
        phrase = list(words.split(match["phrase"] if word is None else word, for_query=True))
        if phrase:
            is_excluded = match["minus"] is not None
            yield _Item(phrase, is_excluded, not is_excluded and (word or "").lower() == "or")
