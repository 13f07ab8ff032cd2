"""The roles that statements run as, and the query for those that a user may use.

They cannot log in, except on the nodes of Citus, which connects to workers as these roles. All
databases of a PostgreSQL server share them.
"""

REQUEST = "agent_api_request"
"""Reads and changes only the acting user's rows."""
EXISTENCE = "agent_api_existence"
"""Reads ids, owners, agents, positions, states and times of all rows, but no content: words only as
hashes."""
WORKER = "agent_api_worker"
"""Takes runs from the queue. With a lease, reads and changes that run and its conversation."""
MEMBER = "agent_api_member"
"""Acts for the owner of a conversation that is shared with the member: reads it, and perhaps posts
messages."""

PUBLIC = "agent_api_public"
"""Reads the snapshot of one public link; the acting user is the hash of its secret."""

ALL = (REQUEST, EXISTENCE, WORKER, MEMBER, PUBLIC)

SETTINGS = {
    WORKER: ("run", "conversation"),
    MEMBER: ("run", "conversation", "member", "purpose"),
}
"""The settings that the policies of a role read, in addition to the acting user."""

# Since PostgreSQL 16, membership does not imply the right to SET ROLE. SET ROLE checks the
# session's user, and so does this query.
USABLE = """
SELECT rolname FROM pg_roles
WHERE rolname LIKE 'agent!_api!_%' ESCAPE '!' AND pg_has_role(session_user, oid,
  CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)
"""
