"""The chart of streams: what waiting readers cost, and how late events reach them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.svg import HEAD, MARGIN, WIDTH, bar, document, number_of, text

Results = Mapping[str, Any]

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
    return document(
        results,
        _draw_blocks(blocks),
        height=sum(TITLE + len(block.bars) * ROW + GAP for block in blocks),
        description=_describe(blocks),
        heading="Streams: what they cost, and how late events arrive",
        legend="Shorter is better. CPU: dark: server, light: PostgreSQL.",
        measured=f"median of {results['settings']['rounds']} rounds",
    )


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


def _draw_blocks(blocks: Sequence[_Block]) -> Iterator[str]:
    y = HEAD
    for block in blocks:
        yield from _draw_block(y, block)
        y += TITLE + len(block.bars) * ROW + GAP


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
    return " ".join(said)
