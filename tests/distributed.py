"""With TEST_DISTRIBUTED=1, distributes the tables of each database that the tests create.

TEST_DATABASE_URL must then be a superuser's URL of a database with Citus, on the coordinator, in
which the workers are registered.
"""

import os
from contextlib import closing
from functools import cache
from typing import Any

import psycopg2
from sqlalchemy import make_url

import migrations
from db import schema
from db.engine import roles
from db.schema import distribution

ENABLED = os.environ.get("TEST_DISTRIBUTED") == "1"

# Statements wait for each other's locks on the workers, which only Citus's own view shows.
ACTIVITY = "citus_stat_activity" if ENABLED else "pg_stat_activity"

_PREPARING = 3187402265
"""An arbitrary number for an advisory lock."""

_distributed: set[str] = set()


def prepare(admin_url: str, name: str) -> None:
    """Create the database on the workers too, with the extension and the roles everywhere."""
    nodes = _nodes(admin_url)
    with closing(psycopg2.connect(admin_url)) as connection:
        # citus_add_node alters all roles of the node, which fails if another test process does too.
        connection.cursor().execute("SELECT pg_advisory_lock(%s)", [_PREPARING])
        _prepare(admin_url, name, nodes)


def _prepare(admin_url: str, name: str, nodes: list[tuple[str, int]]) -> None:
    for host, port in nodes[1:]:
        _run(_at(admin_url, host, port), f'CREATE DATABASE "{name}"')
    for host, port in nodes:
        url = _at(admin_url, host, port, name)
        _run(url, "CREATE EXTENSION citus")
        for role in roles.ALL:
            _run(url, f"SET citus.enable_ddl_propagation = off; {_LOGIN.format(role=role)}")
    (host, port), *workers = nodes
    _run(_at(admin_url, host, port, name), f"SELECT citus_set_coordinator_host('{host}', {port})")
    for worker in workers:
        _run(_at(admin_url, host, port, name), "SELECT citus_add_node(%s, %s)", worker)


def drop(admin_url: str, name: str) -> None:
    """Drop the database on the workers."""
    for host, port in _nodes(admin_url)[1:]:
        _run(_at(admin_url, host, port), f'DROP DATABASE "{name}" WITH (FORCE)')


def distribute(url: str) -> None:
    """Distribute the tables of a database that is migrated and on the coordinator."""
    if not ENABLED or url in _distributed:
        return
    if f":{make_url(os.environ['TEST_DATABASE_URL']).port}/" not in url:
        return  # another server, or several hosts
    if not schema.pending(url, migrations.FOLDER):
        distribution.distribute(url, migrations.FOLDER, on_step=lambda step: None)
        _distributed.add(url)


_LOGIN = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role}; END IF;
  IF NOT (SELECT rolcanlogin FROM pg_roles WHERE rolname = '{role}') THEN ALTER ROLE {role} LOGIN;
  END IF;
END $$
"""


@cache
def _nodes(admin_url: str) -> list[tuple[str, int]]:
    """Return host and port of the coordinator, then of the workers."""
    with closing(psycopg2.connect(admin_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT nodename, nodeport FROM pg_dist_node ORDER BY groupid")
        return cursor.fetchall()


def _at(admin_url: str, host: str, port: int, name: str | None = None) -> str:
    url = make_url(admin_url).set(host=host, port=port)
    return url.set(database=name or url.database).render_as_string(hide_password=False)


def _run(url: str, statement: str, parameters: Any = None) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement, parameters)
