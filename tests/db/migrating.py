"""Runs Alembic on a database, and looks at its schema."""

from contextlib import closing
from pathlib import Path

import psycopg2
from alembic.config import Config

import migrations

REVISIONS = sorted(path.name[:4] for path in Path(*migrations.__path__).glob("versions/*_*.py"))
"""All revisions in order; their files are numbered."""


def alembic(url: str) -> Config:
    config = Config(cmd_opts=None)
    config.set_main_option("script_location", next(iter(migrations.__path__)))
    config.cmd_opts = type("Options", (), {"x": [f"url={url}"]})()
    return config


def ask(url: str, query: str) -> set[str]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return {row[0] for row in cursor.fetchall()}


def snapshot(url: str) -> set[str]:
    """Return all tables, columns, indexes and constraints with their definitions."""
    return ask(
        url,
        """
        SELECT CASE relkind WHEN 'r' THEN 'table ' WHEN 'i' THEN 'index ' ELSE relkind::text END
               || relname
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION
        SELECT 'definition ' || indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        UNION
        SELECT concat_ws(' ', 'column', table_name, column_name, data_type, udt_name,
                         character_maximum_length, column_default, is_nullable)
        FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'alembic_version'
        UNION
        SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
        UNION
        SELECT 'enum ' || typname || ' ' || enumlabel || ' ' || enumsortorder
        FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid
        """,
    )
