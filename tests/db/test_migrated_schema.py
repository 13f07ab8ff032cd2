"""Tests of the schema that the migrations create."""

from collections.abc import Callable

from alembic import command
from sqlalchemy import create_engine, inspect

import migrations
from db import models, schema
from db.engine.connections import address
from tests.db.migrating import alembic, ask, snapshot

SEED = {
    "conversations": {"id", "title", "user_id", "created_at", "updated_at"},
    "messages": {
        "id",
        "conversation_id",
        "role",
        "content",
        "attachments",
        "run_id",
        "routing_decision",
        "tool_calls",
        "created_at",
    },
    "chat_settings": {
        "id",
        "user_id",
        "enabled_tools",
        "enabled_agents",
        "model",
        "temperature",
        "max_tokens",
        "created_at",
        "updated_at",
    },
    "runs": {"id"},
}
SEED_INDEXES = {
    "idx_conversations_user_id",
    "idx_conversations_created_at",
    "idx_messages_conversation_id",
    "idx_messages_created_at",
    "idx_messages_run_id",
}


def test_alembic_finds_no_difference_to_the_models(url: str) -> None:
    schema.upgrade(url, migrations.FOLDER)

    command.check(alembic(url))


def test_migrations_create_exactly_the_schema_of_the_models(
    url: str, new_database: Callable[[], str]
) -> None:
    # Alembic compares neither CHECK constraints nor the conditions of indexes.
    from_models = new_database()
    private = create_engine(address.normalise(from_models))
    models.Base.metadata.create_all(private)
    private.dispose()

    schema.upgrade(url, migrations.FOLDER)

    migrated, expected = snapshot(url), snapshot(from_models)
    assert migrated - expected == {"table alembic_version", "index alembic_version_pkc"}
    assert expected - migrated == set()


def test_tables_columns_and_indexes_of_the_seed_plan_exist(url: str) -> None:
    schema.upgrade(url, migrations.FOLDER)
    private = create_engine(address.normalise(url))
    found = inspect(private)

    assert set(found.get_table_names()) >= SEED.keys()
    for table, columns in SEED.items():
        assert columns <= {column["name"] for column in found.get_columns(table)}
    indexes = {index["name"] for table in SEED for index in found.get_indexes(table)}
    assert indexes >= SEED_INDEXES
    private.dispose()


def test_constraints_and_indexes_follow_the_naming_convention(url: str) -> None:
    schema.upgrade(url, migrations.FOLDER)

    # PostgreSQL 18 names NOT NULL constraints itself.
    names = ask(
        url,
        "SELECT conname FROM pg_constraint JOIN pg_class t ON t.oid = conrelid"
        " WHERE contype <> 'n' AND connamespace = 'public'::regnamespace"
        " AND t.relname <> 'alembic_version'"
        " UNION SELECT c.relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
        " JOIN pg_class t ON t.oid = indrelid"
        " WHERE c.relnamespace = 'public'::regnamespace AND t.relname <> 'alembic_version'",
    )

    tables = tuple(models.Base.metadata.tables)
    prefixes = tuple(
        f"{kind}_{table}" for kind in ("pk", "fk", "uq", "ck", "idx") for table in tables
    )
    assert names
    assert {name for name in names if not name.startswith(prefixes)} == set()
