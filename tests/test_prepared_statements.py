"""Tests that statements are prepared on direct connections, unless that is switched off.

Behind a pooler nothing may be prepared: a prepared statement belongs to one session.
"""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url

from tests.servers import start_server

pytestmark = pytest.mark.process

LAST_MESSAGES = """
SELECT query FROM pg_stat_activity WHERE datname = %s AND query LIKE '%%SET LOCAL ROLE%%'
"""


@pytest.mark.parametrize("setting", ["auto", "off"])
def test_statements_are_prepared_on_direct_connections(
    new_migrated_database: Callable[[], str], database: Any, tmp_path: Path, setting: str
) -> None:
    url = new_migrated_database()
    with (
        start_server(url, tmp_path, prepared_statements=setting) as server,
        server.client("maria") as maria,
    ):
        for _ in range(2):
            assert maria.get("/users/me/chat-settings").status_code == 200
        with database.cursor() as cursor:
            cursor.execute(LAST_MESSAGES, [make_url(url).database])
            last = [query.rpartition(";\n")[2] for (query,) in cursor.fetchall()]

    is_prepared = any(query.startswith("EXECUTE select_") for query in last)
    assert last
    assert is_prepared is (setting == "auto" and "TEST_POOLER_URL" not in os.environ)


def test_change_of_a_columns_type_costs_one_response(
    new_migrated_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_migrated_database()
    # One connection: a sweep could hold the one that has prepared the statement.
    with (
        start_server(url, tmp_path, pool_size="1") as server,
        server.client("maria") as maria,
    ):
        path = maria.post("/conversations", json={}).headers["location"]
        assert maria.get(path).status_code == 200
        with (
            closing(psycopg2.connect(url)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("ALTER TABLE conversations ALTER title TYPE text")

        statuses = [maria.get(path).status_code for _ in range(3)]

    is_prepared = "TEST_POOLER_URL" not in os.environ
    assert statuses == [503 if is_prepared else 200, 200, 200]
