"""The chart of growth: what a page costs by size and place, the smallest first page being 1."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.svg import HEAD, MARGIN, WIDTH, bar, document, number_of, text

Results = Mapping[str, Any]

TITLE, ROW, GAP = 28, 20, 16
LABEL, VALUE = 300, 42
LONGEST, GOAL = 3.0, 1.3
"""In times of the smallest: longer bars are cut, and the goal is a line across all of them."""

TITLES = {
    "list_conversations": ("List 10 conversations", "of a user with"),
    "list_messages": ("List 10 messages", "of a conversation of"),
    "get_conversation": ("Get a conversation with 10 messages", "of"),
}
GOAL_STYLE = """
.goal { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) { .goal { stroke: #f85149; } }
"""


def draw(results: Results) -> str:
    """Return the SVG. Deep offsets stay out: they are meant to grow, and the tables have them."""
    blocks = {operation: list(_bars(results, operation)) for operation in TITLES}
    return document(
        results,
        _draw_blocks(blocks),
        height=sum(TITLE + len(bars) * ROW + GAP for bars in blocks.values()),
        description=_describe(blocks),
        heading="CPU of a page, as a multiple of the smallest's first page",
        legend=(
            f"Server and PostgreSQL together. The line is the goal, {GOAL}. "
            "A broken bar is longer than drawn."
        ),
        measured=f"1 connection, median of {results['settings']['page_rounds']} rounds",
        style=GOAL_STYLE,
    )


def _bars(results: Results, operation: str) -> Iterator[tuple[str, float]]:
    for row in results["pages"]:
        if row["operation"] == operation and not row["place"].startswith("offset"):
            yield f"{TITLES[operation][1]} {row['size']:,}: {row['place']}", row["cpu_ratio"]


def _draw_blocks(blocks: Mapping[str, Sequence[tuple[str, float]]]) -> Iterator[str]:
    y = float(HEAD)
    for operation, bars in blocks.items():
        yield from _block(y, TITLES[operation][0], bars)
        y += TITLE + len(bars) * ROW + GAP


def _block(y: float, title: str, bars: Sequence[tuple[str, float]]) -> Iterator[str]:
    yield text(MARGIN, y + 14, title, "name")
    start = MARGIN + LABEL + VALUE
    room = WIDTH - start - MARGIN
    for number, (label, value) in enumerate(bars):
        top = y + TITLE + ROW * number
        yield text(MARGIN, top + 10, label, "soft")
        yield from bar(start, top, room, min(value / LONGEST, 1.0), "ours", cut=value > LONGEST)
        yield text(MARGIN + LABEL, top + 10, number_of(value))
    goal = start + room * GOAL / LONGEST
    bottom = y + TITLE + ROW * len(bars) - 4
    yield f'<path class="goal" d="M{goal:.1f},{y + TITLE - 6} V{bottom}"/>'


def _describe(blocks: Mapping[str, Sequence[tuple[str, float]]]) -> str:
    said = []
    for operation, bars in blocks.items():
        values = ", ".join(f"{label} {number_of(value)}" for label, value in bars)
        said.append(f"{TITLES[operation][0]}: {values}.")
    return "CPU of a page, the smallest's first page being 1. " + " ".join(said)
