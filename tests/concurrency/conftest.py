"""A user with many connections."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.calls import Json, new_conversation
from tests.concurrency.races import WRITERS
from tests.servers import Server


@pytest.fixture(scope="module")
def crowd(server: Server) -> Iterator[list[httpx.Client]]:
    """Connections of one user."""
    user_id = f"crowd-{uuid.uuid4()}"
    with ExitStack() as stack:
        yield [stack.enter_context(server.client(user_id)) for _ in range(WRITERS)]


@pytest.fixture
def shared(crowd: list[httpx.Client]) -> Json:
    """A new conversation of that user, with the default title."""
    return new_conversation(crowd[0])
