"""The rows whose number grows, made inside PostgreSQL: a million messages take seconds."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg2

READER, WRITER = "reader", "writer"
BEGINNING = datetime(2026, 1, 5, 8, 0, 0, 250_000, UTC)
PAGE = 10

# The fourth group of an id says which rows it numbers.
LISTED, LISTED_MESSAGE, LONG, LONG_MESSAGE, SPREAD, HOT, OTHERS = range(8100, 8800, 100)

# Of the conversations to write to: pgbench draws numbers of one length, without zeros in front.
SPREAD_AFTER = 10_000

QUESTION = "Which of our regions grew fastest last quarter, and why?"
ANSWER = "South grew fastest, by a seventh, mostly through renewals in August. " * 3


@dataclass(frozen=True)
class Sizes:
    """How many conversations the users have, how many messages the long conversations."""

    conversations: tuple[int, int, int] = (10, 1_000, 100_000)
    messages: tuple[int, int, int] = (10, 10_000, 1_000_000)
    spread: int = 1_000
    others: int = 200_000
    """Conversations of other users: a table is never one user's, and its plans show that."""

    @property
    def total(self) -> int:
        """The number of messages."""
        return sum(self.conversations) + sum(self.messages)

    @property
    def spread_numbers(self) -> range:
        """Of the conversations that writers spread over."""
        return range(SPREAD_AFTER + 1, SPREAD_AFTER + 1 + self.spread)


FULL = Sizes()
SMALL = Sizes((10, 100, 1_000), (10, 100, 1_000), spread=100, others=2_000)


def row_id(kind: int, number: int) -> str:
    """The id of a row; decimal digits only, so that pgbench can put a number of its own in."""
    return f"00000000-0000-7000-{kind}-{number:012}"


def long_message(which: int, position: int) -> str:
    """The id of a message of a long conversation."""
    return row_id(LONG_MESSAGE + which, position)


def lister(size: int) -> str:
    """The user with so many conversations."""
    return f"user with {size}"


def moment(number: int) -> str:
    """When a row was made, as the answers say it: a minute after the row before it."""
    made = BEGINNING + timedelta(minutes=number)
    return made.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_ID = "('00000000-0000-7000-' || {kind} || '-' || lpad(({n})::text, 12, '0'))::uuid"
_TIME = f"timestamptz '{BEGINNING.isoformat()}' + n * interval '1 minute'"
_CONTENT = f"CASE mod(n, 2) WHEN 1 THEN '{QUESTION}' ELSE '{ANSWER}' END"
_ROLE = "(CASE mod(n, 2) WHEN 1 THEN 'user' ELSE 'assistant' END)::message_role"

# With the one message that each has, its preview included. The messages count as indexed, so that
# servers do not index them during a measurement.
_LISTED = f"""
INSERT INTO conversations (id, title, user_id, source, created_at, updated_at, message_count,
  last_position, indexed_position, last_message_role, last_message_content, last_message_at)
SELECT {_ID.format(kind="%(kind)s", n="n")}, 'The fastest region of quarter ' || n, %(user)s, 'web',
  {_TIME}, {_TIME}, 1, 1, 1, {_ROLE}, left({_CONTENT}, 100), {_TIME}
FROM generate_series(1, %(size)s) AS n;
INSERT INTO messages (id, conversation_id, user_id, position, role, content, created_at)
SELECT {_ID.format(kind="%(message_kind)s", n="n")}, {_ID.format(kind="%(kind)s", n="n")},
  %(user)s, 1,  {_ROLE}, {_CONTENT}, {_TIME}
FROM generate_series(1, %(size)s) AS n
"""
_LONG = f"""
INSERT INTO conversations (id, title, user_id, created_at, updated_at, message_count,
  last_position, indexed_position, last_message_role, last_message_content, last_message_at)
SELECT {_ID.format(kind="%(kind)s", n="%(number)s")}, 'A long conversation', %(user)s,
  {_TIME}, {_TIME}, n, n, n, {_ROLE}, left({_CONTENT}, 100), {_TIME}
FROM (SELECT %(size)s AS n) AS s;
INSERT INTO messages (id, conversation_id, user_id, position, role, content, created_at)
SELECT {_ID.format(kind="%(message_kind)s", n="n")}, {_ID.format(kind="%(kind)s", n="%(number)s")},
  %(user)s, n, {_ROLE}, {_CONTENT}, {_TIME}
FROM generate_series(1, %(size)s) AS n
"""
_EMPTY = f"""
INSERT INTO conversations (id, title, user_id)
SELECT {_ID.format(kind="%(kind)s", n="n")}, 'To be written to', %(user)s
FROM generate_series(%(first)s, %(last)s) AS n
"""
_OTHERS = f"""
INSERT INTO conversations (id, title, user_id, created_at, updated_at)
SELECT {_ID.format(kind="%(kind)s", n="n")}, 'Of somebody else', 'other ' || mod(n, 1000),
  {_TIME}, {_TIME}
FROM generate_series(1, %(size)s) AS n
"""


def fill(url: str, sizes: Sizes) -> None:
    """Fill the tables, then analyze them, as the server's daemon would have by the next day."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            # Without triggers: the checks of foreign keys take longer than the rows.
            cursor.execute("SET session_replication_role = replica; SET timezone = 'UTC'")
            for number, size in enumerate(sizes.conversations):
                kinds = {"kind": LISTED + number, "message_kind": LISTED_MESSAGE + number}
                cursor.execute(_LISTED, {**kinds, "user": lister(size), "size": size})
            for number, size in enumerate(sizes.messages):
                kinds = {"kind": LONG, "message_kind": LONG_MESSAGE + number}
                given = {**kinds, "number": number, "user": READER, "size": size}
                cursor.execute(_LONG, given)
            for kind, numbers in ((SPREAD, sizes.spread_numbers), (HOT, range(1, 2))):
                between = {"first": numbers[0], "last": numbers[-1]}
                cursor.execute(_EMPTY, {"kind": kind, "user": WRITER, **between})
            cursor.execute(_OTHERS, {"kind": OTHERS, "size": sizes.others})
            cursor.execute("INSERT INTO chat_settings (user_id) VALUES (%s)", (READER,))
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")
