"""What a list's `total` costs: the statement of a page as it is sent, and without its count."""

import re
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from benchmarks.growth.operations import Query
from benchmarks.growth.pgbench import Database
from benchmarks.growth.rows import LISTED, PAGE, Sizes, lister, moment, row_id
from db import conversations


def measure(
    database: Database,
    sizes: Sizes,
    *,
    rounds: int,
    until: Sequence[str],
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """PostgreSQL's CPU for a page by cursor from the middle of each user's conversations."""
    whole = {
        size: database.capture(_query(which, size))
        for which, size in enumerate(sizes.conversations)
    }
    scripts = {
        (size, counts): script if counts else _without_total(script)
        for size, script in whole.items()
        for counts in (True, False)
    }
    taken: dict[tuple[int, bool], list[float]] = {key: [] for key in scripts}
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds}")
        for key, script in scripts.items():
            taken[key].append(database.run(script, clients=1, until=until).database_cpu)
    smallest = median(taken[sizes.conversations[0], False])
    rows = []
    for size in sizes.conversations:
        with_total, without = median(taken[size, True]), median(taken[size, False])
        rows.append(
            {
                "conversations": size,
                "with_total_us": round(with_total, 1),
                "without_total_us": round(without, 1),
                "total_us": round(with_total - without, 1),
                "without_total_ratio": round(without / smallest, 3),
            }
        )
    return rows


def _without_total(script: str) -> str:
    script, count = re.subn(r", \(SELECT count\(\*\).*?\) AS total", "", script, flags=re.DOTALL)
    assert count == 1, f"the total is not where it was: {script}"
    return script


def _query(which: int, size: int) -> Query:
    """The rows that follow the first half, or for the fewest all of them, to be a full page."""
    before = size // 2 if size > PAGE else 0
    row = size - before + 1
    return lambda connection: conversations.select_page(
        connection,
        user_id=lister(size),
        limit=PAGE,
        offset=0,
        order_by="created_at",
        order="desc",
        source=None,
        agent_id=None,
        after=[moment(row), row_id(LISTED + which, row)],
    )
