"""What search finds in long messages, and how much of them it shows."""

import httpx

from tests.calls import Json, post_message, read, rows
from tests.searching.calls import SEARCH, found, highlighted, search


def test_phrases_find_the_first_256_places_of_a_word(
    alice: httpx.Client, conversation: Json
) -> None:
    early, late = (
        post_message(alice, conversation, f"{'the house ' * count}the lease")["id"]
        for count in (255, 256)
    )

    assert found(alice, '"the lease"') == [early]
    assert found(alice, 'lease -"the lease"') == [late]
    assert sorted(found(alice, "the lease")) == sorted([early, late])


def test_snippet_shows_the_matches_of_a_long_message(
    alice: httpx.Client, conversation: Json
) -> None:
    text = "one " * 400 + "the needle and the 🧵 thread " + "two " * 400
    post_message(alice, conversation, text)

    (result,) = search(alice, "thread needle")

    assert highlighted(result) == ["needle", "thread"]
    assert result["snippet"].startswith("…one ")
    assert result["snippet"].endswith("…")
    assert result["snippet"].strip("…") in text
    assert len(result["snippet"]) <= 242


def test_search_reads_only_the_beginning_of_a_huge_message(
    alice: httpx.Client, conversation: Json
) -> None:
    text = "start " + "filler " * 15_990 + "end"
    message = post_message(alice, conversation, text)["id"]
    post_message(alice, conversation, "x" * 200_000 + " beyond")

    assert found(alice, "start filler") == [message]
    assert found(alice, "beyond") == []
    assert rows(read(alice, SEARCH, q="end")) == []


def test_message_of_many_different_words_can_be_found(
    alice: httpx.Client, conversation: Json
) -> None:
    message = post_message(alice, conversation, " ".join(f"n{n}" for n in range(30_000)))["id"]

    assert found(alice, "n14000 n0") == [message]
    assert found(alice, "n29999") == []
