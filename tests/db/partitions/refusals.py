"""Finds what distributed tables refuse in a statement, though partitions allow it."""

import re

# Where distributed tables allow only functions that read neither settings nor the time.
RESTRICTED = re.compile(
    r"RETURNING .*|DO UPDATE SET .*|CASE .*? END"
    r"|coalesce\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)",
    re.DOTALL,
)
# The result depends on the time zone, except without one.
INTERVAL = re.compile(r"\b\w+\.\w+ [-+] (interval\b|CAST\([^()]* AS INTERVAL|%\(\w+\)s::INTERVAL)")
FUNCTION = re.compile(r"\b(?:[a-z]\w*(?=\()|CURRENT_\w+|LOCALTIME\w*)")
OWNER = re.compile(r"\b((user_id|created_by) = %\(acting_user|agent_id = %\(of_agent)\)s")
IMMUTABLE = {"greatest", "least", "coalesce", "timezone", "lower"}


def refusal_of(sql: str) -> str | None:
    """Return what distributed tables refuse in a statement, or None."""
    if re.search(r"\bAS (MATERIALIZED )?\(\s*INSERT", sql):
        return "INSERT in a CTE"
    if re.search(r"\bSELECT\s+FROM\b", sql):  # in a subquery that more than one node answers
        return "a SELECT without columns"
    if re.search(r"\bVALUES \(.*\bSELECT\b", sql, re.DOTALL):
        return "a subquery in VALUES"
    is_locking = re.search(r"\bFOR (NO KEY )?UPDATE\b|\bFOR (KEY )?SHARE\b", sql)
    if is_locking and not OWNER.search(sql):
        return "a lock without the owner"
    if sql.startswith(("SELECT", "WITH RECURSIVE")):
        return None
    if sql.startswith("UPDATE") and INTERVAL.search(sql):
        return "an interval added to a column"
    for part in RESTRICTED.findall(sql):
        for name in FUNCTION.findall(part):
            if name not in IMMUTABLE:
                return str(name)
    return None
