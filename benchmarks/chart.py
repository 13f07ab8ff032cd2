"""The chart for the README: what a request costs on each server."""

from collections.abc import Iterator
from typing import Any

from benchmarks.report import SERVERS, Results
from benchmarks.servers import OURS
from benchmarks.svg import HEAD, MARGIN, WIDTH, bar, document, number_of, text
from benchmarks.workload import TITLES

COLUMNS = 2
TITLE, ROW, GAP = 26, 20, 18
LABEL, VALUE = 120, 52


def draw(results: Results) -> str:
    """Return the SVG: for each operation a bar for each server, ours being 1."""
    block = TITLE + ROW * len(SERVERS) + GAP
    rows = -(-len(TITLES) // COLUMNS)
    settings = results["settings"]
    return document(
        results,
        _blocks(results, block),
        height=rows * block,
        description=_describe(results),
        heading="CPU of server and PostgreSQL for a request; agent-api's is 1",
        legend="Shorter is better. Dark: server. Light: PostgreSQL.",
        measured=(
            f"{settings['connections']} connections, median of {settings['runs']} runs of "
            f"{settings['rounds']} rounds"
        ),
    )


def _blocks(results: Results, block: int) -> Iterator[str]:
    column = (WIDTH - 2 * MARGIN) / COLUMNS
    longest = max(max(_times(results, operation).values()) for operation in TITLES)
    for number, (operation, title) in enumerate(TITLES.items()):
        x = MARGIN + column * (number % COLUMNS)
        y = HEAD + block * (number // COLUMNS)
        yield text(x, y + 14, title, "name")
        yield from _bars(x, y + TITLE, column - MARGIN, results["operations"][operation], longest)


def _times(results: Results, operation: str) -> dict[str, float]:
    servers = results["operations"][operation]
    return {name: 1 / servers[name]["total_cpu_ratio"]["median"] for name in SERVERS}


def _bars(
    x: float, y: float, width: float, servers: dict[str, Any], longest: float
) -> Iterator[str]:
    start, room = x + LABEL, width - LABEL - VALUE
    for number, name in enumerate(SERVERS):
        top = y + ROW * number
        its = servers[name]
        value = 1 / its["total_cpu_ratio"]["median"]
        of_server = its["server_cpu_us"]["median"] / its["total_cpu_us"]["median"]
        kind = "ours" if name == OURS else "other"
        yield text(x, top + 10, name, "soft")
        yield from bar(start, top, room, value / longest, f"{kind} database")
        yield from bar(start, top, room, value / longest * of_server, kind)
        yield text(start + room * value / longest + 6, top + 10, number_of(value))


def _describe(results: Results) -> str:
    said = []
    for operation, title in TITLES.items():
        times = _times(results, operation)
        others = ", ".join(f"{name} {number_of(times[name])}" for name in SERVERS if name != OURS)
        said.append(f"{title}: {others}.")
    return "CPU for one request, agent-api being 1. " + " ".join(said)
