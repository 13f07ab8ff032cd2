"""The echo worker of `agent-api serve --echo`: a fake agent in a process next to the server."""

import logging
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

from agent_api.observability import log
from agent_api.server.addresses import base_url
from agent_api.server.child import stop_with_parent
from agent_api.settings import ConfigError, Settings
from agent_api.worker import run

AGENT = "echo"

logger = logging.getLogger(__name__)


def check(settings: Settings) -> None:
    """Raise ConfigError if no token can be signed for the worker."""
    if not settings.can_sign:
        raise ConfigError(
            "--echo needs a secret that signs its token, but the server only verifies tokens:"
            " serve with --no-echo, and give `agent-api worker --echo` a token"
        )


@contextmanager
def echoing() -> Iterator[None]:
    """Answer runs of the agent `echo` until the block ends."""
    process = multiprocessing.get_context("spawn").Process(target=_work, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _work() -> None:
    """Answer runs until the server ends, over HTTP like every other worker."""
    stop_with_parent()
    settings = Settings.load()
    log.configure(settings)
    url = base_url(settings.host, settings.port)
    run.run(settings, [AGENT], url=url, say=lambda line: logger.debug("echo", extra={"said": line}))
