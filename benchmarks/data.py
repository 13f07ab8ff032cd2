"""Fills an empty database with the rows that the benchmark reads, by COPY."""

import csv
import io
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import orjson
import psycopg2
import yaml

from db.models import PREVIEW_CHARACTERS, new_id

BEGINNING = datetime(2026, 1, 5, 8, tzinfo=UTC)
USERS_AT_ONCE = 50
PARAGRAPHS = 5  # at most, in what an assistant says
SECONDS_BETWEEN_NEWS = 5

CONVERSATION = (
    "id title user_id source model agent_id is_private metadata message_count last_position "
    # As if all messages were indexed: servers would otherwise do it during a measurement.
    "indexed_position last_message_role last_message_content last_message_at created_at updated_at "
    "last_message_id last_message_known_at"
).split()
MESSAGE = (
    "id conversation_id user_id position role content attachments metadata run_id routing_decision "
    "tool_calls created_at parent_id"
).split()
RUN = "id agent_id status created_by started_at finished_at".split()
SETTINGS = "id user_id enabled_tools model temperature max_tokens created_at updated_at".split()

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Size:
    """How many rows: ordinary users, and heavy ones whose pages are full."""

    users: int = 2000
    conversations: int = 25
    messages: int = 20
    heavy_users: int = 8
    heavy_conversations: int = 75
    heavy_messages: int = 120

    @property
    def total(self) -> int:
        """The number of messages."""
        return (
            self.users * self.conversations * self.messages
            + self.heavy_users * self.heavy_conversations * self.heavy_messages
        )


FULL = Size()
SMALL = Size(users=20, heavy_users=4, heavy_conversations=60)


def fill(url: str, size: Size, say: Callable[[str], None]) -> None:
    """Fill the tables, then analyze them, as the server's daemon would have by the next day."""
    source = _Source()
    users = [
        *((f"user-{n:04}", size.conversations, size.messages) for n in range(size.users)),
        *(
            (f"heavy-{n:02}", size.heavy_conversations, size.heavy_messages)
            for n in range(size.heavy_users)
        ),
    ]
    told = time.monotonic()
    with closing(psycopg2.connect(url)) as connection:
        for start in range(0, len(users), USERS_AT_ONCE):
            some = users[start : start + USERS_AT_ONCE]
            with connection, connection.cursor() as cursor:
                for table, columns, rows in source.rows(some):
                    _copy(cursor, table, columns, rows)
            if time.monotonic() - told > SECONDS_BETWEEN_NEWS:
                told = time.monotonic()
                say(f"  {start + len(some):,} of {len(users):,} users")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")


def _copy(cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)  # None becomes an unquoted nothing, which COPY reads as NULL
    text.seek(0)
    cursor.copy_expert(f"COPY {table} ({','.join(columns)}) FROM STDIN (FORMAT csv)", text)


class _Source:
    """Makes rows out of the demo's conversations: the same texts each time, with new ids."""

    def __init__(self) -> None:
        self._random = random.Random(20260105)
        demo = yaml.safe_load(
            files("agent_api.demo").joinpath("conversations.yaml").read_text("utf-8")
        )
        self._titles = [entry["title"] for entry in demo]
        self._messages: list[Row] = [
            (
                message["role"],
                message["content"],
                *(_json(message.get(name)) for name in ("attachments", "metadata")),
                *(_json(message.get(name)) for name in ("routing_decision", "tool_calls")),
            )
            for entry in demo
            for message in entry["messages"]
        ]
        self._said = [content for role, content, *_ in self._messages if role == "assistant"]

    def rows(
        self, users: Sequence[tuple[str, int, int]]
    ) -> Iterator[tuple[str, Sequence[str], list[Row]]]:
        """Yield table, columns and rows, those first that others point to."""
        runs: list[Row] = []
        settings: list[Row] = []
        conversations: list[Row] = []
        messages: list[Row] = []
        for user, count, length in users:
            begun = self._later(BEGINNING, hours=24 * 60)
            run = new_id()
            runs.append((run, "analyst", "succeeded", user, begun, begun))
            settings.append((new_id(), user, "{sql,search}", "model-1", 0.2, 4000, begun, begun))
            for _ in range(count):
                begun = self._later(begun, hours=12)
                conversations.append(self._conversation(user, begun, length, run, messages))
        yield "runs", RUN, runs
        yield "chat_settings", SETTINGS, settings
        yield "conversations", CONVERSATION, conversations
        yield "messages", MESSAGE, messages

    def _conversation(
        self, user: str, begun: datetime, length: int, run: str, messages: list[Row]
    ) -> Row:
        pick = self._random.random
        conversation = new_id()
        now = begun
        role, content = "", ""
        message_id = None
        offset = int(pick() * len(self._messages))
        for position in range(1, length + 1):
            now = self._later(now, hours=0.05)
            kind = self._messages[(offset + position) % len(self._messages)]
            role, content, attachments, metadata, routing, tools = kind
            if role == "assistant":  # the demo's are short
                more = self._random.choices(self._said, k=int(pick() * PARAGRAPHS))
                content = "\n\n".join([content, *more])
            linked = run if role == "assistant" and position % 10 == 0 else None
            row = (attachments, metadata, linked, routing, tools, now, message_id)
            message_id = new_id()
            messages.append((message_id, conversation, user, position, role, content, *row))
        title = self._titles[offset % len(self._titles)]
        source = "web" if pick() < 0.7 else None
        agent = "analyst" if pick() < 0.5 else None
        folder = _json({"folder": "Reports", "pinned": pick() < 0.2}) if pick() < 0.3 else None
        ours = (title, user, source, "model-1", agent, False, folder)
        last = (length, length, length, role, content[:PREVIEW_CHARACTERS], now)
        return (conversation, *ours, *last, begun, now, message_id, length)

    def _later(self, moment: datetime, *, hours: float) -> datetime:
        """Return a time up to so many hours later, with microseconds other than 0.

        At 0 pydantic leaves them out where our server writes them, and both are right.
        """
        later = moment + timedelta(hours=hours * self._random.random())
        return later if later.microsecond else later + timedelta(microseconds=1)


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
