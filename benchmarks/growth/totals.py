"""What a list's `total` costs: a first page's statement as it is sent, and without its count."""

import re
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from benchmarks.growth.operations import Query
from benchmarks.growth.pgbench import Database
from benchmarks.growth.rows import PAGE, Sizes, lister
from db.conversations import conversation_lists


def measure(
    database: Database,
    sizes: Sizes,
    *,
    rounds: int,
    until: Sequence[str],
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """PostgreSQL's CPU for the first page of each user's conversations."""
    whole = {size: database.capture(_query(size)) for size in sizes.conversations}
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


def _query(size: int) -> Query:
    return lambda connection: conversation_lists.select_page(
        connection,
        user_id=lister(size),
        limit=PAGE,
    )
