"""Writers of one conversation leave database connections to the requests of others."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest

from tests import distributed
from tests.calls import messages_of, new_conversation, read
from tests.contract import assert_problem
from tests.processes import wait_until
from tests.servers import Server, start_server

pytestmark = pytest.mark.process

POOL_SIZE = 6
WRITERS = 20
LOCK = "SELECT 1 FROM conversations WHERE id = %s AND user_id = 'alice' FOR UPDATE"


@pytest.fixture(scope="module")
def url(new_migrated_database: Callable[[], str]) -> str:
    """A database of these tests, which lock its rows."""
    return new_migrated_database()


@pytest.fixture(scope="module")
def server(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("turns")
    with start_server(url, folder, pool_size=str(POOL_SIZE)) as running:
        yield running


def test_writers_that_wait_for_a_conversation_do_not_take_all_connections(
    server: Server, url: str
) -> None:
    with server.client("alice") as alice, server.client("bob") as bob:
        busy, other = new_conversation(alice), new_conversation(bob)
        body = {"role": "user", "content": "Hello"}
        with (
            closing(psycopg2.connect(url)) as holder,
            holder.cursor() as cursor,
            ThreadPoolExecutor(WRITERS) as threads,
        ):
            cursor.execute(LOCK, [busy["id"]])
            try:
                waiting = [
                    threads.submit(alice.post, messages_of(busy), json=body) for _ in range(WRITERS)
                ]
                wait_until(lambda: len(_blocked(url)) > 1)
                answers = [bob.post(messages_of(other), json=body) for _ in range(3)]
                reads = [alice.get(messages_of(busy)) for _ in range(3)]
                blocked = len(_blocked(url))
            finally:
                holder.rollback()
            statuses = [each.result().status_code for each in waiting]

        assert [answer.status_code for answer in (*answers, *reads)] == [201] * 3 + [200] * 3
        assert blocked < POOL_SIZE
        assert statuses == [201] * WRITERS
        assert read(alice, messages_of(busy))["total"] == WRITERS


@pytest.mark.slow  # waits for the limits of 5 s
def test_writer_that_gets_no_turn_is_told_to_try_again(server: Server, url: str) -> None:
    with server.client("alice") as alice:
        busy = new_conversation(alice)
        with (
            closing(psycopg2.connect(url)) as holder,
            holder.cursor() as cursor,
            ThreadPoolExecutor(WRITERS) as threads,
        ):
            cursor.execute(LOCK, [busy["id"]])
            change = {"title": "New"}
            path = f"/conversations/{busy['id']}"
            answers = list(threads.map(lambda _: alice.patch(path, json=change), range(8)))
            holder.rollback()

        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused
        assert {answer.status_code for answer in answers} <= {503, 504}
        assert_problem(refused[0], 503)
        assert alice.patch(path, json=change).status_code == 200


def _blocked(url: str) -> list[tuple[int]]:
    """Return the processes of this database that wait for a lock."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT pid FROM {distributed.ACTIVITY}"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchall()
