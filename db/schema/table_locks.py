"""Locks tables for a migration while requests use them."""

LOCK_SECONDS = 5
"""After so many seconds a migration gives up."""


def lock_tables(*tables: str) -> str:
    """Return SQL that locks tables until the transaction ends, all of them or none.

    Requests lock the same tables in different orders: an INSERT locks its table, and then those
    that its foreign keys refer to. A migration that waits for one table while it holds another
    would therefore be part of a deadlock. So it waits less than PostgreSQL's deadlock_timeout of a
    second, releases what it has, and tries again. Raises lock_not_available (55P03).
    """
    return f"""
DO $$
BEGIN
  FOR attempt IN 1..{LOCK_SECONDS * 1000 // 250} LOOP
    BEGIN
      SET LOCAL lock_timeout = '200ms';
      LOCK TABLE {", ".join(tables)} IN ACCESS EXCLUSIVE MODE;
      SET LOCAL lock_timeout = '{LOCK_SECONDS}s';
      RETURN;
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_sleep(0.05);
    END;
  END LOOP;
  RAISE lock_not_available USING MESSAGE = 'other sessions use the tables';
END $$
"""
