"""The parts that the charts share: an SVG with its own background, to be read on any page."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

WIDTH, MARGIN = 860, 24
HEAD, FOOT = 76, 34
"""The heights above and below what a chart draws."""

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


def document(
    results: Mapping[str, Any],
    body: Iterable[str],
    *,
    height: float,
    description: str,
    heading: str,
    legend: str,
    measured: str,
    style: str = "",
) -> str:
    """Return the SVG. `height` is that of the body; `measured` says what was measured how often."""
    total = HEAD + height + FOOT
    machine, versions = results["machine"], results["versions"]
    about = (
        f"{results['date']} · {machine['processor']}, {machine['cores']} cores · Python "
        f"{versions['python']} · PostgreSQL {versions['postgresql']} · {measured}"
    )
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" '
        f'width="{WIDTH}" height="{total}" role="img" aria-labelledby="title">'
    )
    parts = [
        opening,
        f'<title id="title">{escape(description)}</title>',
        f"<style>{STYLE}{style}</style>",
        f'<rect class="back" x="0.5" y="0.5" width="{WIDTH - 1}" height="{total - 1}" rx="6"/>',
        text(MARGIN, 34, heading, "head"),
        text(MARGIN, 56, legend, "soft"),
        *body,
        text(MARGIN, total - 20, about, "soft"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


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


def text(x: float, y: float, text: str, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f'<text{mark} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
