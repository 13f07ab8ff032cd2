"""Properties of the words that search compares, and of snippets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.search import query, snippets, words
from db.search.query import Unsearchable

TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="aB é\u0301字カ\uff76\uff9eｶ한\u1112\u1161กั😀-_\"'.\u200d½ﷺİß", max_size=60),
)


@given(TEXTS)
def test_both_ways_to_split_a_text_find_the_same_words(text: str) -> None:
    found: dict[str, list[str]] = {}
    for word in words.split(text):
        found.setdefault(word.text, []).append(str(word.position))

    assert words.positions(text) == {each: ",".join(places) for each, places in found.items()}


@pytest.mark.parametrize(
    "text", ["字" * 20_000, "a " * 15_999 + "字字字", "한" * words.MAX_CHARACTERS]
)
def test_words_end_at_the_last_position(text: str) -> None:
    found = list(words.split(text))

    assert found[-1].position == words.MAX_POSITION
    assert words.positions(text).keys() == {word.text for word in found}


@given(TEXTS)
def test_words_have_places_in_the_text(text: str) -> None:
    position = 0
    for word in words.split(text):
        assert 0 <= word.start < word.end <= len(text)
        assert word.text
        assert word.position >= position
        position = word.position


@given(TEXTS)
def test_words_of_a_query_are_words_of_the_text(text: str) -> None:
    stored = {(word.text, word.position) for word in words.split(text)}

    assert {(word.text, word.position) for word in words.split(text, for_query=True)} <= stored


@given(TEXTS, TEXTS)
def test_snippets_show_a_part_of_the_text(content: str, q: str) -> None:
    try:
        parsed = query.parse(q[:60])
    except Unsearchable:
        return

    text, highlights = snippets.of(content, parsed)

    assert text.removeprefix("…").removesuffix("…") in content or text == content
    assert len(text) <= snippets.MAX_CHARACTERS + 2
    end = 0
    for start, stop in highlights:
        assert end <= start < stop <= len(text.encode("utf-16-le", "surrogatepass")) // 2
        end = stop


def test_snippets_compare_a_bounded_number_of_words() -> None:
    phrase = "a " * 63 + "b"
    parsed = query.parse(f'"{phrase}"')

    few, many = (snippets.of("a " * count + phrase, parsed) for count in (1_000, 15_000))

    assert (len(few.highlights), many.highlights) == (1, [])
    assert many.text.startswith("a a ")


@given(TEXTS)
def test_a_text_matches_itself(text: str) -> None:
    try:
        parsed = query.parse(f'"{text.replace(chr(34), " ")}"')
    except Unsearchable:
        return
    if len(text) <= snippets.MAX_CHARACTERS:
        assert len(snippets.of(text.replace('"', " "), parsed).highlights) >= 1
