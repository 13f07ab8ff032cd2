"""Each search has a clear answer: results, or a 422 that says what is wrong."""

import base64
import hashlib
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.calls import NOBODYS_ID, Json, post_message, read, refusals
from tests.searching.calls import SEARCH
from tests.sharing.members import user_of

TIME = "2026-03-02T09:14:03.412907Z"

REFUSED = {
    "nothing": "",
    "spaces": " \t ",
    "punctuation": "?!… — ()&|<>:*'",
    "operators of tsquery": "!&|",
    "quotes": '""""',
    "an exclusion": "-word",
    "only exclusions": '-word -"two words"',
    "too long": "word " * 2000,
    "too many words": "a " * 65,
    "too many characters": "字" * 70,
    "too many alternatives": " or ".join("abcdefghijklmnopq"),
    "emoji": "😀",
    "marks": "\u0301\u0302",
    "NUL": "a\0b",
}
ACCEPTED = [
    *("or", "OR or", "a or", "or a", "a or or b", "- a", "--a b", 'a "', '"a" "b', "a:*", "a & b"),
    *("a | b", "!a", "(a", "a\\", "'a'", "a <-> b", "a'; DROP TABLE messages; --", "%s %(q)s {q}"),
    *(
        "a\u200d",
        "\u202ea",
        "a " * 64,
        " or ".join("bcdefghijklmnopq"),
        "字" * 64,
        "a" * 1000,
        "ﷺ",
        "½",
        "İ",
        "ß" * 100,
        "\ufffda",
    ),
]


@pytest.mark.parametrize("q", REFUSED.values(), ids=REFUSED)
def test_search_refuses_what_it_cannot_look_for(alice: httpx.Client, q: str) -> None:
    assert refusals(alice.get(SEARCH, params={"q": q})) == {("query", "/q")}


@pytest.mark.parametrize("q", ACCEPTED)
def test_search_accepts_odd_texts(alice: httpx.Client, conversation: Json, q: str) -> None:
    post_message(alice, conversation, q)

    assert read(alice, SEARCH, q=q)["limit"] == 20


@pytest.mark.parametrize("query", ["q=%ff", "q=%ed%a0%80", "q=a&q=b", ""])
def test_search_refuses_malformed_queries(alice: httpx.Client, query: str) -> None:
    ((place, pointer),) = refusals(alice.get(f"{SEARCH}?{query}"))

    assert (place, pointer) in {("query", "/q"), ("query", "")}


@pytest.mark.parametrize(
    "time",
    [
        *("0000-01-01T00:00:00Z", "2026-12-31T23:59:60Z", "0001-01-01T00:00:00+14:00"),
        *("9999-12-31T23:59:59-12:00", "2026-02-30T00:00:00Z", "2026-03-02T00:00:00", "yesterday"),
    ],
)
@pytest.mark.parametrize("name", ["created_after", "created_before"])
def test_search_refuses_impossible_times(alice: httpx.Client, name: str, time: str) -> None:
    assert refusals(alice.get(SEARCH, params={"q": "a", name: time})) == {("query", f"/{name}")}


@pytest.mark.parametrize(
    "time",
    [
        *("2026-03-02T00:00:00Z", "2026-03-02t00:00:00.5z", "2026-03-02T00:00:00+23:59"),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_search_accepts_times_of_rfc_3339(alice: httpx.Client, time: str) -> None:
    read(alice, SEARCH, q="a", created_after=time, created_before=time)


@pytest.mark.parametrize(
    "key",
    [
        *([], [0.5], [0.5, TIME], [0.5, TIME, NOBODYS_ID, 1], [1, TIME, NOBODYS_ID], None),
        *(["0.5", TIME, NOBODYS_ID], [1.5, TIME, NOBODYS_ID], [-0.5, TIME, NOBODYS_ID]),
        *([0.5, "2026-13-02T09:14:03.412907Z", NOBODYS_ID], [0.5, TIME, "'"], {"a": 1}),
    ],
)
def test_search_refuses_forged_cursors(alice: httpx.Client, key: object) -> None:
    reader = hashlib.blake2b(user_of(alice).encode(), digest_size=8).hexdigest()
    for parts in (["search", key, reader], ["search", key], ["search", [0.5, TIME, NOBODYS_ID]]):
        cursor = base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()
        response = alice.get(SEARCH, params={"q": "word", "cursor": cursor})
        assert refusals(response) == {("query", "/cursor")}


# Texts from few characters have the syntax of searches more often.
_SYNTAX = st.text(alphabet=" \"-orOR字aé\u0301:&|!<>()*\\'", max_size=60)
_ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@given(q=st.one_of(_SYNTAX, _ANY), content=st.one_of(_SYNTAX, _ANY))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_search_answers_any_text(
    alice: httpx.Client, conversation: Json, q: str, content: str
) -> None:
    post_message(alice, conversation, content)

    for text in (q, content):
        response = alice.get(SEARCH, params={"q": text})
        assert response.status_code in (200, 422), (text, response.text)
