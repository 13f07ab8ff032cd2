"""Checks whether the nodes of Citus are ready for distributed tables."""

from typing import Any

from sqlalchemy import Connection, text

from db.engine import roles

_VERSION = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
_IS_COORDINATOR = "SELECT groupid = 0 FROM pg_dist_local_group"
_NODES = "SELECT nodeid, nodename || ':' || nodeport, isactive, shouldhaveshards FROM pg_dist_node"
# Errors of a node are results, not errors of the statement.
_ASK_ALL_NODES = "SELECT nodeid, success, result FROM run_command_on_all_nodes(:command)"
_VERSIONS = f"""
SELECT format('PostgreSQL %s with Citus %s',
  current_setting('server_version_num')::int / 10000, ({_VERSION}))
"""
_LACKING_ROLES = """
SELECT string_agg(CASE WHEN oid IS NULL THEN 'CREATE' ELSE 'ALTER' END || ' ROLE ' || name
  || ' LOGIN;', ' ')
FROM (VALUES {}) AS needed(name)
LEFT JOIN pg_roles ON rolname = name WHERE rolcanlogin IS NOT TRUE
""".format(", ".join(f"('{role}')" for role in roles.ALL))


def obstacle(connection: Connection) -> str | None:
    """Return why tables cannot be distributed and what to do, or None."""
    version = _scalar(connection, _VERSION)
    if version is None:
        return "The database has no extension citus: run CREATE EXTENSION citus; in it on each node"
    if not _scalar(connection, _IS_COORDINATOR):
        return "This is a worker: use the URL of the coordinator"
    nodes = {row[0]: row for row in connection.execute(text(_NODES))}
    inactive = [name for _, name, is_active, _ in nodes.values() if not is_active]
    if inactive:
        return f"The node {inactive[0]} is not active: run SELECT citus_activate_node(...)"
    if not any(has_shards for *_, has_shards in nodes.values()):
        return "No node stores shards: run SELECT citus_add_node('host', port); for each worker"
    versions = {}
    for node, success, answer in _ask_all(connection, _VERSIONS):
        name = nodes[node][1]
        if not success:
            return _silent(name, answer)
        versions[answer] = name
    if len(versions) > 1:
        found = ", ".join(f"{name} has {version}" for version, name in versions.items())
        return f"The nodes have different versions: {found}. Upgrade all nodes to one version"
    return lacking_role(connection) or _refused_login(connection, nodes)


def lacking_role(connection: Connection) -> str | None:
    """Return the first node that lacks a role of requests, or its right to log in, or is away."""
    names = {row[0]: row[1] for row in connection.execute(text(_NODES))}
    for node, success, answer in _ask_all(connection, _LACKING_ROLES):
        if not success:
            return _silent(names[node], answer)
        if answer:
            return f"Requests cannot log in to {names[node]}: run {answer}"
    return None


def _refused_login(connection: Connection, nodes: dict[int, Any]) -> str | None:
    """Return the first node that refuses a role of requests, which Citus connects as."""
    for role in roles.ALL:
        with connection.begin_nested() as attempt:
            connection.execute(text("SELECT set_config('role', :role, true)"), {"role": role})
            answers = _ask_all(connection, "SELECT 1")
            attempt.rollback()
        for node, success, answer in answers:
            if not success:
                return (
                    f"{nodes[node][1]} refuses {role}: {answer}. Allow it in pg_hba.conf, or add"
                    " its password to pg_dist_authinfo"
                )
    return None


def _silent(name: str, error: str) -> str:
    return f"The node {name} cannot be asked: {error}"


def _ask_all(connection: Connection, command: str) -> list[Any]:
    return list(connection.execute(text(_ASK_ALL_NODES), {"command": command}))


def _scalar(connection: Connection, sql: str) -> Any:
    return connection.scalar(text(sql))
