"""Checks the machine: its time zone data, its folders and their free space."""

import os
import shutil
import tempfile
import time
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

from agent_api.doctor.finding import Finding, error, ok, warning
from agent_api.server.startup_checks import temporary_files
from agent_api.settings import Settings, time_zone

MIB = 1 << 20
LOW_DATA = 1024 * MIB
"""Bytes. PostgreSQL's write-ahead log alone can need as much: `max_wal_size` is 1 GB."""
LOW_TEMPORARY = 100 * MIB
"""Bytes below which a warning advises more space for temporary files."""
FULL = 16 * MIB
"""Bytes below which any folder counts as full, which is an error."""


def check_time_zone() -> Iterator[Finding]:
    """Yield whether the time zone of text logs is known; everything else is in UTC."""
    name = (time_zone() or "").removeprefix(":")
    is_rule = "/" not in name and any(map(str.isdigit, name))  # such as CET-1CEST
    if not name or name.startswith("/") or is_rule:
        yield ok("time-zone", f"{time.strftime('%Z')}, only for text logs; the API uses UTC")
        return
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        yield warning(
            "time-zone",
            f"TZ={name} is not in this machine's time zone data: text logs show UTC",
            "Correct TZ, or install the package tzdata.",
        )
    else:
        yield ok("time-zone", f"{name}, only for text logs; the API uses UTC")


def check_temporary_folder() -> Iterator[Finding]:
    """Yield whether temporary files can be written. Raises ConfigError if not."""
    with temporary_files(), tempfile.TemporaryFile() as file:
        file.write(b"x")
    folder = Path(tempfile.gettempdir())
    yield _space("temporary-folder", folder, low=LOW_TEMPORARY, remedy="or set TMPDIR")


def check_data_folder(settings: Settings) -> Iterator[Finding]:
    """Yield whether the data folder can be used, unless the settings make it unnecessary.

    It has the embedded database and the development secret.
    """
    if settings.database_url is not None and settings.has_key:
        return
    folder = settings.data_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield error(
            "data-folder",
            f"This user cannot write to {existing}",
            "Set AGENT_API_DATA_DIR to a folder of this user.",
        )
        return
    low = LOW_DATA if settings.database_url is None else FULL
    yield _space("data-folder", existing, low=low, remedy="or set AGENT_API_DATA_DIR")


def _space(name: str, folder: Path, *, low: int, remedy: str) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{folder}, {free / MIB:,.0f} MiB free"
    if free < FULL:
        return error(name, text, f"Free some space, {remedy}.")
    if free < low:
        return warning(name, text, f"Free some space, {remedy}: {low // MIB} MiB are advisable.")
    return ok(name, text)
