"""32 writers of messages: all to one conversation, and spread over many."""

from collections.abc import Callable
from contextlib import closing
from statistics import median
from typing import Any

import orjson
import psutil
import psycopg2

from benchmarks.growth import serving
from benchmarks.growth.rows import HOT, QUESTION, SPREAD, WRITER, Sizes, row_id
from benchmarks.load import LoadFailed
from benchmarks.servers import Server
from benchmarks.workload import Call, raw_requests

WRITERS = 32
BODY = orjson.dumps({"role": "user", "content": QUESTION})

# Of a conversation: what it says that it has, and what it has.
_COUNTS = """
SELECT c.id, c.message_count, c.last_position, count(m.id), coalesce(max(m.position), 0)
FROM conversations AS c LEFT JOIN messages AS m ON m.conversation_id = c.id
WHERE c.user_id = %s GROUP BY c.id, c.user_id
"""


def to(kind: int, number: int) -> Call:
    """A new message in one of the writer's conversations."""
    return Call(WRITER, f"/conversations/{row_id(kind, number)}/messages", BODY)


def measure(
    server: Server,
    postmaster: psutil.Process,
    url: str,
    sizes: Sizes,
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Write in turns of both kinds; raises LoadFailed where a count is wrong afterwards."""
    kinds = {
        "one conversation": [to(HOT, 1)],
        f"{sizes.spread:,} conversations": [to(SPREAD, number) for number in sizes.spread_numbers],
    }
    prepared = {name: raw_requests(calls) for name, calls in kinds.items()}
    samples: dict[str, list[serving.Sample]] = {name: [] for name in kinds}
    before = _stored(url)
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds}")
        for name, requests in prepared.items():
            sample = serving.measure(
                server, postmaster, requests, connections=WRITERS, seconds=seconds
            )
            samples[name].append(sample)
    acknowledged = sum(one.load.answered for its in samples.values() for one in its)
    if (stored := _stored(url) - before) != acknowledged:
        raise LoadFailed(f"{acknowledged} messages were acknowledged, {stored} are stored")
    return [_summary(name, its) for name, its in samples.items()]


def _summary(name: str, its: list[serving.Sample]) -> dict[str, Any]:
    return {
        "to": name,
        "writers": WRITERS,
        "pool_size": serving.POOL_SIZE,
        "messages": sum(one.load.answered for one in its),
        "per_second": round(median(one.load.per_second for one in its), 1),
        "p50_ms": round(median(one.load.quantile(0.5) for one in its) / 1000, 2),
        "p99_ms": round(median(one.load.quantile(0.99) for one in its) / 1000, 2),
        "cpu_us": round(median(one.cpu for one in its), 1),
        "database_cpu_us": round(median(one.database_cpu for one in its), 1),
    }


def _stored(url: str) -> int:
    """How many messages the writer's conversations have; raises LoadFailed where one miscounts."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(_COUNTS, (WRITER,))
        rows = cursor.fetchall()
    for conversation, said, last, count, highest in rows:
        if not said == last == count == highest:
            raise LoadFailed(f"{conversation} has {count} messages and says {said}")
    return sum(row[3] for row in rows)
