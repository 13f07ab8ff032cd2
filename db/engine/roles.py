"""The two roles that statements run as, and how to tell whether a user may act as them.

They cannot log in and belong to the whole PostgreSQL server, whose databases share them.
"""

REQUEST = "agent_api_request"
"""Sees and changes the rows of the acting user, and of nobody else."""
EXISTENCE = "agent_api_existence"
"""Sees which rows there are and whose they are, and nothing else of them."""

ALL = (REQUEST, EXISTENCE)

# Since PostgreSQL 16 a member may be one without the right to SET ROLE. Who may is asked of the
# session's user, as SET ROLE does it.
USABLE = """
SELECT rolname FROM pg_roles
WHERE rolname LIKE 'agent!_api!_%' ESCAPE '!' AND pg_has_role(session_user, oid,
  CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)
"""
