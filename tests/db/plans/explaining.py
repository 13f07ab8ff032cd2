"""Plans of the statements that queries send, and what is in them."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from db import engine
from db.engine import Connection
from tests.db.rows import split, traced, value

Action = Callable[[Connection], object]
Node = dict[str, Any]


def plan_of(action: Action, options: str = "COSTS") -> list[Node]:
    """Return the nodes of the plans of all statements that an action sends; change nothing."""
    with engine.transaction() as connection:
        with traced() as trace:
            action(connection)
        connection.execute("ROLLBACK")
    with engine.autocommit() as connection:
        return [
            node
            for message, parameters in trace
            for node in explain(connection, message, parameters, options)
        ]


def explain(
    connection: Connection, message: str, parameters: Any, options: str = "COSTS"
) -> list[Node]:
    """Return the nodes of the plans of a message's statements, without executing them."""
    # Keep the settings in front of each statement: the role affects the plan.
    settings, statements = split(message)
    plans: list[Node] = []
    for statement in statements:
        explained = f"{settings}EXPLAIN ({options}, FORMAT JSON) {statement}"
        found = value(connection, explained, parameters)
        (top,) = json.loads(found) if isinstance(found, str) else found
        plans += nodes(top["Plan"])
    return plans


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


def show(name: str, plan: list[Node]) -> None:
    sys.stdout.write(f"{name}: {json.dumps(plan[0], indent=1)}\n")


def scans(plan: list[Node]) -> bool:
    return any(node["Node Type"] == "Seq Scan" for node in plan)


def sorts(plan: list[Node]) -> bool:
    return any("Sort" in node["Node Type"] for node in plan)


def conditions(plan: list[Node]) -> list[str]:
    return [node["Index Cond"] for node in plan if "Index Cond" in node]


def rows_read(node: Node) -> float:
    rows = float(node["Actual Rows"]) + float(node.get("Rows Removed by Filter", 0))
    return rows * float(node["Actual Loops"])
