"""Creates the roles that statements run as.

Roles belong to the whole server, so the migration of another database may already have created
them, or may do so concurrently. Since PostgreSQL 16 a role's creator may grant it but not use it.
"""

from db.engine import roles

_CREATE = """
DO $$
DECLARE
  name text;
  usable text := CASE WHEN current_setting('server_version_num')::int < 160000
                 THEN 'MEMBER' ELSE 'SET' END;
BEGIN
  FOREACH name IN ARRAY ARRAY[QUOTED] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
    IF NOT pg_has_role(session_user, name, usable) THEN
      BEGIN
        EXECUTE format('GRANT %I TO %I', name, session_user);
      EXCEPTION WHEN unique_violation THEN NULL;
      END;
    END IF;
    IF NOT has_schema_privilege(name, current_schema(), 'USAGE') THEN
      EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), name);
    END IF;
  END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE insufficient_privilege USING MESSAGE = format(
    'An administrator has to run, once for this PostgreSQL: %s'
    'GRANT NAMES TO %I;',
    (SELECT string_agg(format('CREATE ROLE %I NOLOGIN; ', wanted), '')
     FROM unnest(ARRAY[QUOTED]) AS wanted
     WHERE wanted NOT IN (SELECT rolname FROM pg_roles)), session_user);
END $$
"""


def create_roles() -> str:
    """Return SQL that creates the missing roles, and lets the session's user use them.

    Raises insufficient_privilege (42501), with the statements for an administrator.
    """
    quoted = ", ".join(f"'{role}'" for role in roles.ALL)
    return _CREATE.replace("QUOTED", quoted).replace("NAMES", ", ".join(roles.ALL))
