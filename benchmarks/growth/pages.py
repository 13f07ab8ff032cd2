"""What a page costs, by the size of what it is a page of and by its place in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import orjson
import psutil

from agent_api.http.pagination import Listing, envelope
from benchmarks.growth import client, serving
from benchmarks.growth.rows import (
    LISTED,
    LONG,
    PAGE,
    READER,
    Sizes,
    lister,
    long_message,
    moment,
    row_id,
)
from benchmarks.load import LoadFailed
from benchmarks.servers import Server
from benchmarks.workload import Call, raw_requests
from db.paging.page import Page

# Of ten, one cursor leads to a full page: the one that starts before all of them.
FIRST, ALL = "first", "all, by cursor"
MIDDLE, LAST = "middle, by cursor", "last, by cursor"
HIGHEST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One page: full, and its first item known, so that it is surely the one that is meant."""

    operation: str
    size: int
    place: str
    call: Call
    starts_with: str


def choose(sizes: Sizes) -> list[Cell]:
    """The pages, for each operation the first of the smallest first: the others' measure."""
    return [*_conversations(sizes), *_messages(sizes), *_gets(sizes)]


def _conversations(sizes: Sizes) -> Iterator[Cell]:
    for which, size in enumerate(sizes.conversations):
        path = f"/conversations?limit={PAGE}"
        for place, before in _places(size):
            row = size - before  # the newest comes first
            if place == FIRST:
                where = ""
            elif place.startswith("offset"):
                where = f"&offset={before}"
            else:
                last = HIGHEST_ID if before == 0 else row_id(LISTED + which, row + 1)
                key = [moment(row + 1), last, size]
                where = _cursor(Listing("conversations created_at desc", lister(size)), key)
            call = Call(lister(size), path + where)
            yield Cell("list_conversations", size, place, call, row_id(LISTED + which, row))


def _messages(sizes: Sizes) -> Iterator[Cell]:
    for which, size in enumerate(sizes.messages):
        conversation = row_id(LONG, which)
        path = f"/conversations/{conversation}/messages?limit={PAGE}"
        for place, before in _places(size):
            if place == FIRST:
                where = ""
            elif place.startswith("offset"):
                where = f"&offset={before}"
            else:
                where = _cursor(Listing(f"messages of {conversation} asc", READER), [before])
            call = Call(READER, path + where)
            yield Cell("list_messages", size, place, call, long_message(which, before + 1))


def _gets(sizes: Sizes) -> Iterator[Cell]:
    """The conversation with its messages has no cursor: only its first page, and offsets."""
    for which, size in enumerate(sizes.messages):
        path = f"/conversations/{row_id(LONG, which)}?message_limit={PAGE}"
        for place, before in _places(size):
            if place in (ALL, MIDDLE, LAST):
                continue
            where = "" if place == FIRST else f"&message_offset={before}"
            call = Call(READER, path + where)
            yield Cell("get_conversation", size, place, call, long_message(which, before + 1))


def _places(size: int) -> Iterator[tuple[str, int]]:
    """Each place, and how many items come before it; offsets where they can be deep."""
    yield FIRST, 0
    if size == PAGE:
        yield ALL, 0
        return
    yield MIDDLE, size // 2
    yield LAST, size - PAGE
    if size >= 1_000:
        for offset in (1_000, size - PAGE):
            if offset < size:
                yield f"offset {offset:,}", offset


def _cursor(listing: Listing, key: list[Any]) -> str:
    """As the server writes it."""
    page = envelope("items", Page(b"", 0, key), limit=PAGE, offset=0, listing=listing)
    return f"&cursor={orjson.loads(page)['next_cursor']}"


def check(server: Server, cells: list[Cell]) -> None:
    """Raise LoadFailed unless each page is full and the one that is meant."""
    for cell in cells:
        answer = orjson.loads(client.ask(server.port, raw_requests([cell.call])[0]))
        items = answer["conversations" if cell.operation == "list_conversations" else "messages"]
        if len(items) != PAGE or items[0]["id"] != cell.starts_with:
            raise LoadFailed(f"{cell}: not the page that was meant: {answer!s:.500}")
        whole = answer["message_count"] if cell.operation == "get_conversation" else answer["total"]
        if whole != cell.size:
            raise LoadFailed(f"{cell}: counts {whole}")


def measure(
    server: Server,
    postmaster: psutil.Process,
    sizes: Sizes,
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[Row]:
    """Measure each page once a round, on one connection, in an order that moves on each round."""
    cells = choose(sizes)
    check(server, cells)
    prepared = {cell: raw_requests([cell.call]) for cell in cells}
    for requests in prepared.values():
        client.run(server.port, requests, connections=1, seconds=seconds / 3)
    samples: dict[Cell, list[serving.Sample]] = {cell: [] for cell in cells}
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds}")
        shift = number * len(cells) // rounds
        for cell in (*cells[shift:], *cells[:shift]):
            sample = serving.measure(
                server, postmaster, prepared[cell], connections=1, seconds=seconds
            )
            samples[cell].append(sample)
    return [_summary(cell, samples[cell], samples[_base(cell, cells)]) for cell in cells]


def _base(cell: Cell, cells: list[Cell]) -> Cell:
    return next(one for one in cells if one.operation == cell.operation)


def _summary(cell: Cell, its: list[serving.Sample], base: list[serving.Sample]) -> Row:
    """Ratios are taken within a round, as the benchmark's others are, and then summarised."""
    pairs = list(zip(its, base, strict=True))
    return {
        "operation": cell.operation,
        "size": cell.size,
        "place": cell.place,
        "cpu_us": round(median(one.cpu for one in its), 1),
        "database_cpu_us": round(median(one.database_cpu for one in its), 1),
        "p50_ms": round(median(one.load.quantile(0.5) for one in its) / 1000, 3),
        "cpu_ratio": round(median(a.both_cpu / b.both_cpu for a, b in pairs), 3),
        "p50_ratio": round(
            median(a.load.quantile(0.5) / b.load.quantile(0.5) for a, b in pairs), 3
        ),
    }
