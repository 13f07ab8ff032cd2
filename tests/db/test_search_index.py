"""Tests of the functions that keep the terms of messages, for edits and deletions."""

from db import engine
from db.engine import Connection
from db.search import index, lexemes, query, search, words
from tests.db.rows import insert_conversation, insert_message, value


def found(connection: Connection, user: str, q: str) -> int:
    page = search.select_page(connection, user_id=user, query=query.parse(q), limit=10)
    return page.documents.count(b'"message_id"')


def test_changed_terms_replace_the_earlier_ones(connection: Connection, user: str) -> None:
    conversation_id = insert_conversation(connection, user)
    message_id = insert_message(connection, conversation_id, user)
    this = {"conversation_id": conversation_id, "message_id": message_id, "user_id": user}

    index.update(connection, **this, content="Something else")

    assert (found(connection, user, "hello"), found(connection, user, "else")) == (0, 1)


def test_deleted_terms_are_not_found(connection: Connection, user: str) -> None:
    conversation_id = insert_conversation(connection, user)
    message_id = insert_message(connection, conversation_id, user)
    insert_message(connection, conversation_id, user)

    index.delete(connection, conversation_id=conversation_id, message_id=message_id, user_id=user)

    assert found(connection, user, "hello") == 1


def test_terms_are_rolled_back_with_their_message(connection: Connection, user: str) -> None:
    conversation_id = insert_conversation(connection, user)
    with engine.transaction() as own:
        insert_message(own, conversation_id, user)
        own.execute("ROLLBACK").close()

    assert found(connection, user, "hello") == 0


def test_lexemes_differ_between_users_and_words() -> None:
    lexeme, other = lexemes.of("alice"), lexemes.of("bob")

    assert lexeme("word") == lexemes.of("alice")("word")
    assert len({lexeme("word"), other("word"), lexeme("words"), lexemes.of("")("alice")}) == 4


def test_the_largest_vector_fits(connection: Connection) -> None:
    largest = " ".join(f"{n:x}" for n in range(words.MAX_POSITION + 5))
    vector = lexemes.vector("user", largest)

    size = value(connection, "SELECT length(%(v)s::tsvector)", {"v": vector})

    assert size == words.MAX_POSITION


def test_words_are_found_where_they_are() -> None:
    text = "Ein Café, naïve ｶﾞﾗｽ 東京 x_y"

    places = {text[word.start : word.end]: word.text for word in words.split(text)}

    assert places == {
        "Ein": "ein",
        "Café": "cafe",
        "naïve": "naive",
        "ｶﾞﾗｽ": "ス",  # composed characters have the place of all
        "東": "東",
        "東京": "東京",
        "京": "京",
        "x": "x",
        "y": "y",
    }
