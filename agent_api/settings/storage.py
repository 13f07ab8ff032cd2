"""Opens the data folder and the database that the settings name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent_api.settings import Settings
from db import embedded

make_data_dir = embedded.make_folder
"""For agent_api.auth, which must not import db."""


@contextmanager
def database(
    settings: Settings, on_progress: Callable[[str], None] | None = None, *, create: bool = True
) -> Iterator[str]:
    """Yield the URL of the database, and keep an embedded server running meanwhile.

    Calls `on_progress` with a message before each slow step. Raises EmbeddedError if the embedded
    server cannot start, or its database does not exist and `create` is false.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    server = embedded.attach(settings.data_dir, create=create, on_progress=on_progress)
    try:
        yield server.url
    finally:
        server.close()
