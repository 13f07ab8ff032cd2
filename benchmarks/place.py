"""Where a benchmark runs: a folder and a database of its own; and how it talks."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import migrations
from db import embedded, schema


@contextmanager
def folder() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="agent-api-bench-"))
    place.chmod(0o711)  # for the account that runs PostgreSQL where we are root
    try:
        yield place
    finally:
        deadline = time.monotonic() + 30
        while not embedded.is_stopped(place) and time.monotonic() < deadline:
            time.sleep(0.1)
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def database(place: Path) -> Iterator[str]:
    """A PostgreSQL of the benchmark's own, as careful with its data as in production."""
    server = embedded.attach(place, durable=True)
    try:
        schema.upgrade(server.url, migrations.FOLDER)
        yield server.url
    finally:
        server.close()


def say(line: str) -> None:
    print(line, flush=True)
