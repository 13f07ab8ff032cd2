"""The chart for the README: an SVG of its own background, so that it can be read on any page."""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from benchmarks.report import SERVERS, Results
from benchmarks.servers import OURS
from benchmarks.workload import TITLES

WIDTH, MARGIN, COLUMNS = 860, 24, 2
HEAD, FOOT = 76, 34
TITLE, ROW, GAP = 26, 20, 18
LABEL, VALUE = 120, 52
LONGEST = 6.0
"""Of a bar, in times of ours: longer ones are cut, and only their number says how long they are."""

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
text, .back { fill: #1f2328; }
.back { fill: #ffffff; stroke: #d1d9e0; }
.head { font-size: 17px; font-weight: 600; }
.name { font-weight: 600; }
.soft { fill: #59636e; }
.ours { fill: #0969da; }
.other { fill: #afb8c1; }
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
    parts = [
        opening(WIDTH, height),
        f'<title id="title">{_describe(results)}</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="back" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        text(MARGIN, 34, "Server CPU for one request, as a multiple of agent-api's", "head"),
        text(MARGIN, 56, "Shorter is better. A broken bar is longer than drawn.", "soft"),
    ]
    for number, (operation, title) in enumerate(TITLES.items()):
        x = MARGIN + column * (number % COLUMNS)
        y = HEAD + block * (number // COLUMNS)
        parts += _block(x, y, column - MARGIN, title, _times(results, operation))
    machine, settings = results["machine"], results["settings"]
    about = (
        f"{results['date']} · {machine['processor']}, {machine['cores']} cores · Python "
        f"{results['versions']['python']} · PostgreSQL {results['versions']['postgresql']} · "
        f"{settings['connections']} connections, median of {settings['rounds']} rounds"
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
    return {name: 1 / servers[name]["cpu_ratio"]["median"] for name in SERVERS}


def _block(x: float, y: float, width: float, title: str, times: dict[str, float]) -> Iterator[str]:
    yield text(x, y + 14, title, "name")
    room = width - LABEL - VALUE
    for number, (name, value) in enumerate(times.items()):
        top = y + TITLE + ROW * number
        kind = "ours" if name == OURS else "other"
        yield text(x, top + 10, name, "soft")
        start = x + LABEL
        yield from bar(start, top, room, min(value / LONGEST, 1.0), kind, cut=value > LONGEST)
        length = room * min(value, LONGEST) / LONGEST
        yield text(start + length + 6, top + 10, number_of(value))


def bar(x: float, top: float, room: float, share: float, kind: str, *, cut: bool) -> Iterator[str]:
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
    return escape("Server CPU for one request, agent-api being 1. " + " ".join(said))


def text(x: float, y: float, text: str, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f'<text{mark} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
