"""The tables on the terminal: one for each thing that is measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]

HEADS = {
    "pages": (
        "Pages of 10, one connection: CPU in us a request, latency, and both as multiples of the\n"
        "operation's first row (CPU: server and PostgreSQL together)"
    ),
    "totals": (
        "What `total` costs PostgreSQL in a first page of 10, in us a statement; the last\n"
        "column is the page without it, as a multiple of the first row"
    ),
    "workers": "List 50 conversations; load, server and database share the machine's cores",
    "pgbench": (
        "Against pgbench with the same statements. api_share: the API's speed over pgbench's;\n"
        "database_share_of_cpu: PostgreSQL's share of the CPU that a request to the API takes"
    ),
    "writers": "Writers of messages; every acknowledged message is stored, and counted",
    "memory": "Memory of one worker after a mix of the six operations",
    "starting": "From the start of `agent-api serve` to the first 200 of /readyz, in seconds",
}


def tell(results: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Print what was measured, in the order of HEADS."""
    for name, head in HEADS.items():
        say(f"\n{head}")
        table(results[name], say)


def table(rows: Rows, say: Callable[[str], None]) -> None:
    """Print rows that have the same names."""
    names = list(rows[0])
    lines = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    for line in lines:
        cells = zip(line, widths, names, strict=True)
        said = (
            f"{text:<{width}}" if isinstance(rows[0][name], str) else f"{text:>{width}}"
            for text, width, name in cells
        )
        say("  " + "  ".join(said).rstrip())


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
