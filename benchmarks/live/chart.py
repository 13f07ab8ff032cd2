"""The chart of streams: what waiting readers cost, and how late events reach them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from benchmarks.chart import MARGIN, STYLE, WIDTH, bar, number_of, opening, text

Results = Mapping[str, Any]

HEAD, FOOT = 76, 34
TITLE, ROW, GAP = 28, 20, 18
LABEL, VALUE = 240, 90


class _Bar(NamedTuple):
    label: str
    value: float
    of_server: float
    """The dark part of the value."""
    is_ours: bool


class _Block(NamedTuple):
    title: str
    unit: str
    bars: Sequence[_Bar]


def draw(results: Results) -> str:
    """Return the SVG."""
    blocks = list(_blocks(results))
    rows = sum(len(block.bars) for block in blocks)
    height = HEAD + rows * ROW + len(blocks) * (TITLE + GAP) + FOOT
    parts = [
        opening(WIDTH, height),
        f'<title id="title">{_describe(blocks)}</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="back" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        text(MARGIN, 34, "Streams: what they cost, and how late events arrive", "head"),
        text(MARGIN, 56, "Shorter is better. CPU: dark: server, light: PostgreSQL.", "soft"),
    ]
    y = HEAD
    for block in blocks:
        parts += _draw_block(y, block)
        y += TITLE + len(block.bars) * ROW + GAP
    machine = results["machine"]
    about = (
        f"{results['date']} · {machine['processor']}, {machine['cores']} cores · Python "
        f"{results['versions']['python']} · PostgreSQL {results['versions']['postgresql']} · "
        f"median of {results['settings']['rounds']} rounds"
    )
    parts += [text(MARGIN, height - 20, about, "soft"), "</svg>"]
    return "\n".join(parts) + "\n"


def _blocks(results: Results) -> Iterator[_Block]:
    rows = results["latency"]
    readers = f"{rows[0]['readers']:,} readers of 100 runs"
    for state, title in (("waiting", "no events"), ("writing", "50 events per second")):
        bars = [
            _Bar(
                _label(row),
                row[f"{state}_cpu_ms"] + row[f"{state}_database_cpu_ms"],
                row[f"{state}_cpu_ms"],
                _is_ours(row),
            )
            for row in rows[1:]  # events that another process writes, as for the peer
        ]
        yield _Block(f"CPU with {readers}, {title}", "ms/s", bars)
    for figure, title in (("p50_ms", "Median"), ("p99_ms", "99th percentile")):
        bars = [_Bar(_label(row), row[figure], row[figure], _is_ours(row)) for row in rows]
        yield _Block(f"{title} of the time from the append to {readers}", "ms", bars)


def _label(row: Mapping[str, Any]) -> str:
    return f"agent-api, {row['case']}" if _is_ours(row) else str(row["case"])


def _is_ours(row: Mapping[str, Any]) -> bool:
    return "worker" in row["case"]


def _draw_block(y: float, block: _Block) -> Iterator[str]:
    yield text(MARGIN, y + 14, block.title, "name")
    start = MARGIN + LABEL
    room = WIDTH - start - VALUE - MARGIN
    longest = max(one.value for one in block.bars) or 1
    for number, one in enumerate(block.bars):
        top = y + TITLE + ROW * number
        kind = "ours" if one.is_ours else "other"
        share = max(one.value, 0) / longest
        yield text(MARGIN, top + 10, one.label, "soft")
        yield from bar(start, top, room, share, f"{kind} database")
        yield from bar(start, top, room, max(one.of_server, 0) / longest, kind)
        yield text(start + room * share + 6, top + 10, f"{number_of(one.value)} {block.unit}")


def _describe(blocks: Sequence[_Block]) -> str:
    said = []
    for block in blocks:
        values = (f"{one.label} {number_of(one.value)} {block.unit}" for one in block.bars)
        said.append(f"{block.title}: {', '.join(values)}.")
    return escape(" ".join(said))
