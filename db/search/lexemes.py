"""Writes words as lexemes of PostgreSQL's full-text search.

A lexeme is a hash of the user and a word. So the entries of a user's words in the index belong to
this user alone: a search reads no others, and the table contains no readable words.
"""

from collections.abc import Callable
from hashlib import blake2s

from db.search import words

_BYTES = 6


def of(user_id: str) -> Callable[[str], str]:
    """Return the function that writes a word of a user as a lexeme."""
    # Copying the state takes half as long as starting with a key.
    state = blake2s(digest_size=_BYTES, key=blake2s(user_id.encode()).digest())

    def lexeme(word: str) -> str:
        copy = state.copy()
        copy.update(word.encode())
        return copy.hexdigest()

    return lexeme


def vector(user_id: str, content: str) -> str:
    """Return the text of the tsvector of a message in a user's conversation."""
    lexeme = of(user_id)
    found = words.positions(content).items()
    return " ".join([f"{lexeme(word)}:{places}" for word, places in found])
