"""Explains why PostgreSQL refused a migration, and what an operator must do."""

from sqlalchemy import Connection, text

from db import engine
from db.errors import Failure, MigrationRefused
from db.models import Base

TABLES = [*Base.metadata.tables, "alembic_version"]

# Only the owner may alter a table. What belongs to a table changes hands with it.
MISSING_RIGHTS = text("""
WITH place AS (
  SELECT oid, nspname FROM pg_namespace WHERE nspname = coalesce(current_schema(), 'public')
), owned AS (
  SELECT c.oid FROM pg_class c JOIN place ON relnamespace = place.oid
  WHERE relkind = 'r' AND relname = ANY (:tables)
), wanted AS (
  SELECT 1 AS rank, 'TABLE ' || oid::regclass AS name, relowner AS owner
  FROM pg_class JOIN owned USING (oid)
  UNION SELECT 2, 'TYPE ' || t.oid::regtype, typowner
  FROM pg_type t JOIN pg_attribute ON atttypid = t.oid JOIN owned ON attrelid = owned.oid
  WHERE typtype = 'e'
  UNION SELECT 3, 'FUNCTION ' || p.oid::regprocedure, proowner
  FROM pg_proc p JOIN pg_trigger ON tgfoid = p.oid JOIN owned ON tgrelid = owned.oid
  WHERE NOT tgisinternal
)
SELECT 0, nspname, format('GRANT USAGE, CREATE ON SCHEMA %I TO %I;', nspname, session_user)
FROM place WHERE NOT (has_schema_privilege(session_user, oid, 'USAGE')
                      AND has_schema_privilege(session_user, oid, 'CREATE'))
UNION ALL
SELECT rank, name, format('ALTER %s OWNER TO %I;', name, session_user)
FROM wanted WHERE NOT pg_has_role(session_user, owner, 'USAGE')
ORDER BY 1, 2
""")


def explain(error: Failure, url: str) -> MigrationRefused | None:
    """Return why PostgreSQL refused a migration that failed with `error`, or None.

    The transaction has been rolled back. Raises Unavailable and Timeout.
    """
    driver = getattr(error.__cause__, "orig", None)
    reason = str(driver).partition("\n")[0]
    match getattr(driver, "pgcode", None):
        case "55P03":
            return MigrationRefused(
                "Nothing was changed: another session held a lock for more than 5 s. Run the"
                " command again, or look for long transactions in pg_stat_activity"
            )
        case "40P01":
            return MigrationRefused(
                "Nothing was changed: other sessions locked the same tables in another order."
                " Run the command again"
            )
        case "57014":
            return MigrationRefused(f"Nothing was changed: {reason}")
        case "3F000":
            return MigrationRefused(
                "Nothing was changed: no schema of the search path exists. Create one with CREATE"
                " SCHEMA, or correct options=-csearch_path in the database URL"
            )
        case "42501":
            private = engine.private_engine(url)
            with engine.translated(), private.connect() as connection:
                missing = _missing_rights(connection)
            # A migration that needs other rights names their statements itself.
            remedy = f". An administrator must run: {' '.join(missing)}" if missing else ""
            return MigrationRefused(f"Nothing was changed: {reason}{remedy}")
    return None


def _missing_rights(connection: Connection) -> list[str]:
    """Return the statements that let the database user migrate its schema."""
    return [row[2] for row in connection.execute(MISSING_RIGHTS, {"tables": TABLES})]
