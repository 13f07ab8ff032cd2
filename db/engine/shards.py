"""Makes a statement's role and user known to the nodes that store the rows of distributed tables.

Citus connects to a node as the current role, and forwards the message that contains a SET LOCAL. In
a function the message is the SET LOCAL alone, so that settings, role and statement can still be
sent together. `agent-api distribute` creates the function, which also marks the database as
distributed. A database without it pays nothing.
"""

from db.engine import roles

FUNCTION = "act_as"
FUNCTIONS = {roles.WORKER: "act_under", roles.MEMBER: "act_for"}
"""The functions of roles with more settings."""

# The connection's mode, force_generic_plan, is for prepared statements, which distributed tables do
# not use. In a function Citus can only plan a query of all shards if it knows the parameters.
_SET_MODE = "SET LOCAL plan_cache_mode = auto;\n"

IS_DISTRIBUTED = f"SELECT to_regprocedure('{FUNCTION}(text, text)') IS NOT NULL"


# From the metadata of the coordinator, which answers while nodes are away.
NODES_OF_OWNERS = """
SELECT array_agg(DISTINCT owner) FROM unnest(%(owners)s::text[]) AS owner
JOIN pg_dist_placement ON shardid = get_shard_id_for_distribution_column('conversations', owner)
GROUP BY groupid
"""


def act_as(role: str) -> str:
    """Return the SQL that sets a role and its settings, on all nodes."""
    settings = ("acting_user", *roles.SETTINGS.get(role, ()))
    values = "".join(f"%({name})s, " for name in settings)
    return f"{_SET_MODE}SELECT {FUNCTIONS.get(role, FUNCTION)}({values}'{role}');\n"


def is_missing(role: str) -> str:
    """Return the query for whether the function of a role does not exist."""
    types = ", ".join(["text"] * (2 + len(roles.SETTINGS.get(role, ()))))
    return f"SELECT to_regprocedure('{FUNCTIONS.get(role, FUNCTION)}({types})') IS NULL"


def create_function(role: str) -> str:
    """Return the SQL of a function whose arguments are the settings' values and the role."""
    function = FUNCTIONS.get(role, FUNCTION)
    settings = ("acting_user", *roles.SETTINGS.get(role, ()))
    arguments = "".join(f"{name} text, " for name in settings)
    sets = "".join(
        f"  EXECUTE 'SET LOCAL agent_api.{name} = ' || quote_literal({name});\n"
        for name in settings
    )
    # Citus must not forward other settings: SET TRANSACTION would fail on its nodes.
    return f"""CREATE FUNCTION {function}({arguments}acting_role text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('citus.propagate_set_commands', 'local', true);
{sets}  PERFORM set_config('citus.propagate_set_commands', 'none', true);
  PERFORM set_config('role', acting_role, true);
END $$
"""
