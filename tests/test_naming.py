"""A conversation without a title is named after its first user message."""

import string
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import Json, change, get_conversation, new_conversation, post_message
from tests.servers import Server

UNNAMED = "New Conversation"
LONGEST = 60
# All kinds of white space are frequent, for lines and words; NUL and surrogates are invalid.
CONTENT = st.text(
    st.one_of(
        st.sampled_from(" \t\n\r\v\f\x1c\x1f\x85\xa0\u2003\u2028\u3000"),
        st.sampled_from(string.ascii_letters),
        st.characters(min_codepoint=1, exclude_categories=["Cs"]),
    ),
    max_size=200,
)
NAMES = {
    "short": ("Hello", "Hello"),
    "the first line": ("  Hello there \n second line", "Hello there"),
    "the first line that says something": ("\n\t \r\n  Third line\nfourth", "Third line"),
    "just fits": ("x" * 60, "x" * 60),
    "one too many": ("x" * 61, "x" * 60),
    "emoji": ("🚀" * 61, "🚀" * 60),
    "no spaces": ("租" * 500, "租" * 60),
    "a word that just fits": ("x" * 60 + " y", "x" * 60),
    "a word that is one too long": ("x" * 61 + " y", "x" * 60),
    "short words": ("x " * 40, "x " * 29 + "x"),
    "a long second word": ("word " + "y" * 100, "word"),
    "much space before it": ("a    " + "b" * 100, "a"),
    "right to left": ("Größe der Fläche: مرحبا بالعالم", "Größe der Fläche: مرحبا بالعالم"),
    "wide spaces": ("\u3000全角 の 空白\u3000", "全角 の 空白"),
    "line separator": ("line one\u2028line two", "line one"),
    "carriage return": ("line one\rline two", "line one"),
    "a sentence": (
        "Compare the two lease offers and tell me which costs less over five years.",
        "Compare the two lease offers and tell me which costs less",
    ),
    "the default name": (UNNAMED, UNNAMED),
}


@pytest.fixture(scope="module")
def carol(server: Server) -> Iterator[httpx.Client]:
    """A user for the tests with many conversations."""
    with server.client(f"carol-{uuid.uuid4()}") as client:
        yield client


def title_after(client: httpx.Client, *contents: str, **creation: Any) -> str:
    """Create a conversation, post user messages, and return its title."""
    conversation = new_conversation(client, **creation)
    for content in contents:
        post_message(client, conversation, content)
    return title_of(client, conversation)


def title_of(client: httpx.Client, conversation: Json) -> str:
    title: str = get_conversation(client, conversation)["title"]
    return title


@given(CONTENT)
def test_create_message_names_its_conversation_as_documented(
    carol: httpx.Client, content: str
) -> None:
    title = title_after(carol, content)

    lines = (line.strip() for line in content.splitlines())
    line = next((line for line in lines if any(c.isprintable() and c != " " for c in line)), None)
    if line is None:
        assert title == UNNAMED
        return
    assert 1 <= len(title) <= LONGEST
    assert line.startswith(title)
    assert title == title.strip()
    blanks = [place for place, character in enumerate(line[: LONGEST + 1]) if character.isspace()]
    if len(line) <= LONGEST:
        assert title == line
    elif blanks:
        assert title == line[: blanks[-1]].rstrip()
    else:
        assert title == line[:LONGEST]


def test_create_message_names_its_conversation(
    carol: httpx.Client, subtests: pytest.Subtests
) -> None:
    for kind, (content, title) in NAMES.items():
        with subtests.test(kind):
            assert title_after(carol, content) == title


@pytest.mark.parametrize(
    "creation",
    [{}, {"title": None}, {"title": UNNAMED}],
    ids=["absent", "null", "default"],
)
def test_create_message_names_untitled_conversations(carol: httpx.Client, creation: Json) -> None:
    assert title_after(carol, "A question", **creation) == "A question"


@pytest.mark.parametrize(
    "given_title",
    ["Mine", "new conversation", "New Conversation ", "New conversation", "NEW CONVERSATION", "N"],
)
def test_create_message_keeps_a_title_given_at_creation(
    carol: httpx.Client, given_title: str
) -> None:
    assert title_after(carol, "A question", title=given_title) == given_title


@pytest.mark.parametrize("given_title", ["Renamed", UNNAMED])
def test_create_message_keeps_a_title_given_later(carol: httpx.Client, given_title: str) -> None:
    conversation = new_conversation(carol)
    change(carol, f"/conversations/{conversation['id']}", title=given_title)

    post_message(carol, conversation, "A question")

    assert title_of(carol, conversation) == given_title


def test_update_conversation_replaces_a_name_from_a_message(carol: httpx.Client) -> None:
    conversation = new_conversation(carol)
    post_message(carol, conversation, "A question")

    change(carol, f"/conversations/{conversation['id']}", title="Renamed")
    post_message(carol, conversation, "Another question")

    assert title_of(carol, conversation) == "Renamed"


@pytest.mark.parametrize(
    "body", [{"title": None}, {}, {"model": "m", "is_private": True, "metadata": {}}]
)
def test_update_conversation_without_a_title_does_not_prevent_naming(
    carol: httpx.Client, body: Json
) -> None:
    conversation = new_conversation(carol)
    change(carol, f"/conversations/{conversation['id']}", **body)

    post_message(carol, conversation, "A question")

    assert title_of(carol, conversation) == "A question"


def test_create_message_names_only_once(carol: httpx.Client) -> None:
    assert title_after(carol, "First", "Second", "Third") == "First"


def test_create_message_names_only_once_even_as_the_default_title(carol: httpx.Client) -> None:
    assert title_after(carol, UNNAMED, "Second") == UNNAMED


@pytest.mark.parametrize("role", ["assistant", "system"])
def test_create_message_of_other_roles_names_nothing(carol: httpx.Client, role: str) -> None:
    conversation = new_conversation(carol)

    post_message(carol, conversation, "You are a helpful assistant.", role=role)
    before = title_of(carol, conversation)
    post_message(carol, conversation, "A question")

    assert before == UNNAMED
    assert title_of(carol, conversation) == "A question"


@pytest.mark.parametrize(
    "blank",
    ["", " ", "\n\r\n\t", "\u2003\u3000\xa0\x1c\x85\u2029", "\u200b\ufeff", "\x07\u202e"],
    ids=ascii,
)
def test_create_message_without_visible_text_names_nothing(carol: httpx.Client, blank: str) -> None:
    assert title_after(carol, blank) == UNNAMED
    assert title_after(carol, blank, blank, "A question", "Another") == "A question"


def test_create_message_rejected_as_invalid_names_nothing(carol: httpx.Client) -> None:
    conversation = new_conversation(carol)
    body = {"role": "user", "content": "Refused", "run_id": "no id"}

    response = carol.post(f"/conversations/{conversation['id']}/messages", json=body)
    post_message(carol, conversation, "A question")

    assert response.status_code == 422
    assert title_of(carol, conversation) == "A question"
