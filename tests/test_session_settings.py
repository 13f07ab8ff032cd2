"""Tests with a database whose defaults would break requests if statements depended on them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import httpx
import psycopg2
import pytest
from sqlalchemy import make_url

from tests.calls import at_once, get_conversation, new_conversation, post_message, read_all
from tests.servers import Server, agent_api, start_server

pytestmark = pytest.mark.process

HELD_SECONDS = 1
TIMEOUT_MS = 400
"""Less than HELD_SECONDS, but enough for a SET on a busy machine."""
DEFAULTS = {
    "array_nulls": "off",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "client_min_messages": "debug1",
    "datestyle": "SQL, DMY",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "extra_float_digits": "-15",
    "idle_in_transaction_session_timeout": str(TIMEOUT_MS),
    "intervalstyle": "sql_standard",
    "lock_timeout": str(TIMEOUT_MS),
    "quote_all_identifiers": "on",
    "row_security": "off",
    "search_path": "pg_catalog",
    "statement_timeout": str(TIMEOUT_MS),
    "timezone": "Asia/Kathmandu",
    "transform_null_equals": "on",
}


@pytest.fixture(scope="module")
def hostile_url(new_database: Callable[[], str]) -> str:
    url = new_database()
    name = make_url(url).database
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        defaults = DEFAULTS
        if connection.server_version >= 170000:
            defaults = DEFAULTS | {"transaction_timeout": str(TIMEOUT_MS)}
        with connection.cursor() as cursor:
            for setting, value in defaults.items():
                cursor.execute(f'ALTER DATABASE "{name}" SET {setting} = %s', (value,))
    return url


@pytest.fixture(scope="module")
def hostile(hostile_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    migrated = agent_api("migrate", database_url=hostile_url)
    assert migrated.returncode == 0, migrated.stderr
    with start_server(hostile_url, tmp_path_factory.mktemp("hostile")) as running:
        yield running


@pytest.fixture
def dave(hostile: Server) -> Iterator[httpx.Client]:
    with hostile.client(f"dave-{time.monotonic_ns()}") as client:
        yield client


def test_create_message_works_for_simultaneous_clients(dave: httpx.Client) -> None:
    conversation = new_conversation(dave)
    path = f"/conversations/{conversation['id']}/messages"
    post = partial(dave.post, path, json={"role": "user", "content": "Hello"})

    answers = at_once([post] * 40)

    assert [answer.status_code for answer in answers] == [201] * 40
    assert get_conversation(dave, conversation)["message_count"] == 40


def test_create_message_waits_for_a_lock_despite_short_timeouts(
    hostile_url: str, dave: httpx.Client
) -> None:
    conversation = new_conversation(dave)
    with closing(psycopg2.connect(hostile_url, options="-c statement_timeout=0")) as holder:
        holder.autocommit = True
        holder.cursor().execute(
            "SELECT set_config(name, '0', false) FROM pg_settings"
            " WHERE name ~ 'transaction.*timeout|^default_transaction_read_only'"
        )
        statement = "UPDATE public.conversations SET title = title WHERE id = %s"
        holder.autocommit = False
        holder.cursor().execute(statement, (conversation["id"],))
        release = threading.Timer(HELD_SECONDS, holder.rollback)
        release.start()

        message = post_message(dave, conversation, "Hello")

        release.join()
    assert message["content"] == "Hello"


@pytest.mark.parametrize(
    "text", ["😀 नमस्ते 中文", "back\\slash 'quote' \\' \" $$ %s", "\\x41 \\101"]
)
def test_text_is_returned_unchanged(dave: httpx.Client, text: str) -> None:
    conversation = new_conversation(dave)
    body = {"role": "user", "content": text, "metadata": {text: text}}

    made = dave.post(f"/conversations/{conversation['id']}/messages", json=body)

    assert made.status_code == 201, made.text
    assert (made.json()["content"], made.json()["metadata"]) == (text, {text: text})
    assert dave.get(made.headers["location"]).json() == made.json()


def test_numbers_and_arrays_are_returned_unchanged(dave: httpx.Client) -> None:
    settings = {"temperature": 0.12345678901234566, "enabled_tools": ["NULL", "a,b", "\\"]}

    saved = dave.put("/users/me/chat-settings", json=settings)

    assert saved.status_code == 200, saved.text
    assert dave.get("/users/me/chat-settings").json() == saved.json()
    assert {name: saved.json()[name] for name in settings} == settings


def test_times_are_utc_and_pages_continue(dave: httpx.Client) -> None:
    made = [new_conversation(dave)["id"] for _ in range(3)]

    found = read_all(dave, "/conversations", limit=1)

    assert [each["id"] for each in found] == made[::-1]
    assert all(each["created_at"].endswith("Z") for each in found)


def test_repeated_request_gets_the_stored_response(dave: httpx.Client) -> None:
    headers = {"Idempotency-Key": "once"}

    first, second = (dave.post("/conversations", json={}, headers=headers) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()


def test_another_users_conversation_is_refused(hostile: Server, dave: httpx.Client) -> None:
    """The rule also applies although the database turns row security off."""
    conversation = new_conversation(dave)

    with hostile.client("eve") as eve:
        statuses = [
            call(f"/conversations/{conversation['id']}").status_code
            for call in (eve.get, eve.delete)
        ]

    assert statuses == [403, 403]
    assert dave.delete(f"/conversations/{conversation['id']}").status_code == 204
