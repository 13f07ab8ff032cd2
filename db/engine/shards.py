"""Makes a statement's role and user known to the nodes that store the rows of distributed tables.

Citus connects to a node as the current role, and forwards the message that contains a SET LOCAL. In
a function the message is the SET LOCAL alone, so that settings, role and statement can still be
sent together. `agent-api distribute` creates the function, which also marks the database as
distributed. A database without it pays nothing.
"""

FUNCTION = "act_as"

# The connection's mode, force_generic_plan, is for prepared statements, which distributed tables do
# not use. In a function Citus can only plan a query of all shards if it knows the parameters.
ACT_AS = f"""SET LOCAL plan_cache_mode = auto;
SELECT {FUNCTION}(%(acting_user)s, '{{role}}');
"""

IS_DISTRIBUTED = f"SELECT to_regprocedure('{FUNCTION}(text, text)') IS NOT NULL"

# Citus must not forward other settings: SET TRANSACTION would fail on its nodes.
CREATE_FUNCTION = f"""CREATE FUNCTION {FUNCTION}(acting_user text, acting_role text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('citus.propagate_set_commands', 'local', true);
  EXECUTE 'SET LOCAL agent_api.acting_user = ' || quote_literal(acting_user);
  PERFORM set_config('citus.propagate_set_commands', 'none', true);
  PERFORM set_config('role', acting_role, true);
END $$
"""
