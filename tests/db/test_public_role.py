"""Tests that PostgreSQL shows only the snapshot of a link to a request with its secret.

Like queries that forget their conditions, these statements have none.
"""

import json
import uuid
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa

from db import models
from db.engine import Connection, roles
from db.engine.statement import Statement
from db.models import Base
from db.publishing import links, published
from tests.db.rows import insert_conversation, link, value

SNAPSHOTS = models.published_conversations
OTHERS = sorted(Base.metadata.tables.keys() - {SNAPSHOTS.name})
_all_titles = sa.select(sa.cast(SNAPSHOTS.c.snapshot, sa.JSON)["title"].as_string())


def publish(connection: Connection, title: str, **given: Any) -> str:
    """Create a link of a new user; return the hash of its secret."""
    user = f"user-{uuid.uuid4()}"
    conversation = insert_conversation(connection, user, title=title)
    new = link(str(uuid.uuid4()), **given)
    links.insert(connection, conversation_id=conversation, user_id=user, **new)
    secret_hash: str = new["secret_hash"]
    return secret_hash


def titles(connection: Connection, secret_hash: str, role: str = roles.PUBLIC) -> list[str]:
    """Return the titles of all snapshots that somebody with a secret sees."""
    rows = Statement(_all_titles, role=role).rows(connection, {"acting_user": secret_hash})
    return [title for (title,) in rows]


@pytest.mark.parametrize("role", [roles.PUBLIC, roles.REQUEST])
def test_a_secret_shows_its_snapshot_only(connection: Connection, role: str) -> None:
    one, two = publish(connection, "One"), publish(connection, "Two")

    assert titles(connection, one, role) == ["One"]
    assert titles(connection, two, role) == ["Two"]
    for nothing in ("", "0" * 64, one.upper(), "user"):
        assert titles(connection, nothing, role) == []


def test_an_expired_link_is_hidden(connection: Connection) -> None:
    secret_hash = publish(connection, "One", expires_at="2020-01-01Z")

    assert titles(connection, secret_hash) == []
    assert published.select_one(connection, secret_hash=secret_hash) is None


@pytest.mark.parametrize("name", OTHERS)
def test_the_role_reads_no_other_table(connection: Connection, name: str) -> None:
    column = next(iter(Base.metadata.tables[name].c))

    with pytest.raises(psycopg2.ProgrammingError, match="permission denied"):
        Statement(sa.select(column), role=roles.PUBLIC).rows(connection, {"acting_user": "u"})


@pytest.mark.parametrize("right", ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES"])
def test_the_role_changes_nothing(connection: Connection, right: str) -> None:
    query = "SELECT has_table_privilege('agent_api_public', 'published_conversations', %(it)s)"

    assert value(connection, query, {"it": right}) is False


@pytest.mark.parametrize("role", [roles.EXISTENCE, roles.WORKER, roles.MEMBER])
def test_other_roles_do_not_read_snapshots(connection: Connection, role: str) -> None:
    secret_hash = publish(connection, "One")

    with pytest.raises(psycopg2.ProgrammingError, match="permission denied"):
        titles(connection, secret_hash, role)


def test_existence_role_finds_links_without_their_hashes(connection: Connection) -> None:
    publish(connection, "One")
    expiries = Statement(sa.select(models.links.c.expires_at), role=roles.EXISTENCE)
    hashes = Statement(sa.select(models.links.c.secret_hash), role=roles.EXISTENCE)

    assert len(expiries.rows(connection, {})) >= 1
    with pytest.raises(psycopg2.ProgrammingError, match="permission denied"):
        hashes.rows(connection, {})


def test_reading_a_snapshot_is_one_statement_by_the_primary_key(connection: Connection) -> None:
    secret_hash = publish(connection, "One")

    snapshot = published.select_one(connection, secret_hash=secret_hash)

    assert snapshot is not None
    assert json.loads(snapshot)["title"] == "One"
