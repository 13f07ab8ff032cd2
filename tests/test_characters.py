"""Titles and previews end between characters as readers see them (Unicode Annex 29)."""

import uuid
from collections.abc import Iterator
from itertools import accumulate

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import Json, get_conversation, new_conversation, post_message
from tests.servers import Server

PREVIEW, TITLE = 100, 60
"""How many code points the contract allows."""

CHARACTERS = {
    "letter": "a",
    "emoji": "\U0001f680",
    "family joined by ZWJ": "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "skin colour": "\U0001f44d\U0001f3fd",
    "heart with a variation selector": "\u2764\ufe0f",
    "keycap": "1\ufe0f\u20e3",
    "flag of two letters": "\U0001f1e9\U0001f1ea",
    "flag of tags": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "rainbow flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "letter with accents": "e\u0301\u0323",
    "ideograph with a variation selector": "\u8fbb\U000e0100",
    "Hangul in jamo": "\u1112\u1161\u11ab",
    "Hangul syllable with a final": "\ud558\u11ab",
    "Devanagari conjunct": "\u0915\u094d\u0937\u093f",
    "Bengali conjunct of three": "\u09b8\u09cd\u09a4\u09cd\u09b0",
    "Tamil vowel sign": "\u0ba8\u0bbf",
    "Thai vowel": "\u0e01\u0e33",
    "Arabic number sign and digit": "\u0600\u0661",
}
LINE_ENDS = {"CR LF": "\r\n", "LF": "\n"}
each_character = pytest.mark.parametrize(
    "character", CHARACTERS.values(), ids=[name.replace(" ", "-") for name in CHARACTERS]
)


@pytest.fixture(scope="module")
def carol(server: Server) -> Iterator[httpx.Client]:
    """A user for the tests with many conversations."""
    with server.client(f"carol-{uuid.uuid4()}") as client:
        yield client


def whole(characters: list[str], limit: int) -> str:
    """Return the first characters that have at most `limit` code points together."""
    return max((s for s in accumulate(["", *characters]) if len(s) <= limit), key=len)


def named_by(client: httpx.Client, content: str) -> Json:
    """Return a new conversation after its first message, from the user."""
    conversation = new_conversation(client)
    post_message(client, conversation, content)
    return get_conversation(client, conversation)


@each_character
def test_create_message_cuts_no_character_of_the_preview(
    alice: httpx.Client, conversation: Json, character: str
) -> None:
    for before in range(PREVIEW - len(character), PREVIEW + 1):
        post_message(alice, conversation, "x" * before + character + "y" * 30)

        preview = get_conversation(alice, conversation)["last_message"]["content"]

        fits = before + len(character) <= PREVIEW
        assert preview == "x" * before + character * fits


@each_character
def test_create_message_cuts_no_character_of_the_title(alice: httpx.Client, character: str) -> None:
    for before in (TITLE - len(character), TITLE - 1, TITLE):
        conversation = named_by(alice, "x" * before + character + "y" * 30)

        fits = before + len(character) <= TITLE
        assert conversation["title"] == "x" * before + character * fits


@given(
    st.lists(st.sampled_from([*CHARACTERS.values(), *LINE_ENDS.values()]), min_size=20),
    st.integers(0, PREVIEW),
)
def test_create_message_previews_whole_characters(
    carol: httpx.Client, characters: list[str], before: int
) -> None:
    content = ["x"] * before + characters + ["a"] * PREVIEW

    conversation = named_by(carol, "".join(content))

    assert conversation["last_message"]["content"] == whole(content, PREVIEW)


@given(st.lists(st.sampled_from([*CHARACTERS.values()]), min_size=TITLE))
def test_create_message_names_by_whole_characters(
    carol: httpx.Client, characters: list[str]
) -> None:
    conversation = named_by(carol, "".join(characters))

    assert conversation["title"] == whole(characters, TITLE)


def test_create_message_cuts_the_title_between_words_before_characters(
    alice: httpx.Client,
) -> None:
    family = CHARACTERS["family joined by ZWJ"]

    conversation = named_by(alice, f"{'x' * 40} {family}{family}{family}")

    assert conversation["title"] == "x" * 40


def test_create_message_cuts_a_character_that_is_longer_than_the_limit(
    alice: httpx.Client,
) -> None:
    accents = "e" + "\u0301" * 200

    alone, after = named_by(alice, accents), named_by(alice, f"xx{accents}")

    assert (alone["title"], after["title"]) == (accents[:TITLE], "xx")
    assert alone["last_message"]["content"] == accents[:PREVIEW]
    assert after["last_message"]["content"] == "xx"
