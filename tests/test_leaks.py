"""What fails says so to the client, and nothing about the server's inside; the log has no content."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from db import schema
from tests.contract import assert_problem, make_rows
from tests.servers import Server, start_server

CONTENT = "Nobody but its reader may see this line of a message."


def change(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(scope="module")
def own_url(new_database: Callable[[], str]) -> str:
    """A database that the tests of this module may break."""
    url = new_database()
    schema.upgrade(url)
    return url


@pytest.fixture
def own_server(own_url: str, tmp_path: Path) -> Iterator[Server]:
    with start_server(own_url, tmp_path, statement_timeout_ms="300") as server:
        yield server


@pytest.mark.parametrize(
    ("statement", "undo", "code", "names"),
    [
        (
            "ADD CONSTRAINT ck_short CHECK (char_length(content) < 10) NOT VALID",
            "DROP CONSTRAINT ck_short",
            "23514",
            ("messages", "ck_short"),
        ),
        (
            "ALTER content TYPE varchar(60)",
            "ALTER content TYPE text",
            "22001",
            (),
        ),
        ("ALTER content TYPE integer USING 0", "ALTER content TYPE text", "22P02", ()),
    ],
)
def test_a_row_that_the_database_refuses_is_logged_without_its_content(
    own_url: str,
    own_server: Server,
    statement: str,
    undo: str,
    code: str,
    names: tuple[str, ...],
) -> None:
    with own_server.client(f"writer-{uuid.uuid4()}") as writer:
        rows = make_rows(writer)
        change(own_url, "TRUNCATE messages", f"ALTER TABLE messages {statement}")
        path = f"/conversations/{rows['conversation_id']}/messages"

        response = writer.post(path, json={"role": "user", "content": f"{CONTENT} {'x' * 60}"})

        change(own_url, f"ALTER TABLE messages {undo}")
    assert_problem(response, 500)
    log = own_server.log.read_text()
    for word in (code, "db/messages.py", *names):
        assert word in log
    for secret in ("Nobody but", "DETAIL", "LINE 1", "INSERT INTO"):
        assert secret not in log
