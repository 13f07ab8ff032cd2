"""The chart for the README: an SVG of its own background, so that it can be read on any page."""

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.report import SERVERS, Results
from benchmarks.servers import OURS
from benchmarks.workload import TITLES

WIDTH, MARGIN, COLUMNS = 860, 24, 2
HEAD, FOOT = 76, 34
TITLE, ROW, GAP = 26, 20, 18
LABEL, VALUE = 120, 52

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
text, .back { fill: #1f2328; }
.back { fill: #ffffff; stroke: #d1d9e0; }
.head { font-size: 17px; font-weight: 600; }
.name { font-weight: 600; }
.soft { fill: #59636e; }
.ours { fill: #0969da; }
.other { fill: #8c959f; }
.database { fill-opacity: 0.45; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .back { fill: #0d1117; stroke: #3d444d; }
  .soft { fill: #9198a1; }
  .ours { fill: #4493f8; }
  .other { fill: #656c76; }
}
"""


def draw(results: Results) -> str:
    """Return the SVG: for each operation a bar for each server, ours being 1."""
    block = TITLE + ROW * len(SERVERS) + GAP
    rows = -(-len(TITLES) // COLUMNS)
    height = HEAD + rows * block + FOOT
    column = (WIDTH - 2 * MARGIN) / COLUMNS
    longest = max(max(_times(results, operation).values()) for operation in TITLES)
    parts = [
        opening(WIDTH, height),
        f'<title id="title">{_describe(results)}</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="back" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        text(MARGIN, 34, "CPU of server and PostgreSQL for a request; agent-api's is 1", "head"),
        text(MARGIN, 56, "Shorter is better. Dark: server. Light: PostgreSQL.", "soft"),
    ]
    for number, (operation, title) in enumerate(TITLES.items()):
        x = MARGIN + column * (number % COLUMNS)
        y = HEAD + block * (number // COLUMNS)
        parts += [text(x, y + 14, title, "name")]
        parts += _bars(x, y + TITLE, column - MARGIN, results["operations"][operation], longest)
    machine, settings = results["machine"], results["settings"]
    about = (
        f"{results['date']} · {machine['processor']}, {machine['cores']} cores · Python "
        f"{results['versions']['python']} · PostgreSQL {results['versions']['postgresql']} · "
        f"{settings['connections']} connections, median of {settings['runs']} runs of "
        f"{settings['rounds']} rounds"
    )
    parts += [text(MARGIN, height - 20, about, "soft"), "</svg>"]
    return "\n".join(parts) + "\n"


def opening(width: int, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-labelledby="title">'
    )


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


def bar(
    x: float, top: float, room: float, share: float, kind: str, *, cut: bool = False
) -> Iterator[str]:
    """Draw a bar that takes a share of the room; one that is cut shows where."""
    length = room * share
    yield f'<rect class="{kind}" x="{x:.1f}" y="{top}" width="{length:.1f}" height="12"/>'
    if cut:
        at = x + length - 18
        points = f"{at},{top + 13} {at + 5},{top - 1} {at + 9},{top - 1} {at + 4},{top + 13}"
        yield f'<polygon class="back" stroke-width="0" points="{points}"/>'


def number_of(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _describe(results: Results) -> str:
    said = []
    for operation, title in TITLES.items():
        times = _times(results, operation)
        others = ", ".join(f"{name} {number_of(times[name])}" for name in SERVERS if name != OURS)
        said.append(f"{title}: {others}.")
    return escape("CPU for one request, agent-api being 1. " + " ".join(said))


def text(x: float, y: float, text: str, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f'<text{mark} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
