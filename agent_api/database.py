"""The database of the settings, for as long as somebody uses it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent_api.config import Settings
from db import embedded


@contextmanager
def database(settings: Settings, on_progress: Callable[[str], None] | None = None) -> Iterator[str]:
    """Yield the URL of the database; the embedded one is started, or kept from stopping.

    Raises EmbeddedError where it cannot start. `on_progress` is told what takes time.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    server = embedded.attach(settings.data_dir, on_progress=on_progress)
    try:
        yield server.url
    finally:
        server.close()


def is_missing(settings: Settings) -> bool:
    """Tell whether the database would be the embedded one, and was never made."""
    if settings.database_url is not None:
        return False
    return not (settings.data_dir / "postgres" / "data").exists()
