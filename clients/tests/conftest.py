"""What the stories share: a mock, and tokens; the live server comes from tests/conftest.py."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.servers import Server, clean_environment, sign, start_mock


@pytest.fixture(scope="session")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The contract's examples, for the errors that a typed client cannot bring about."""
    with start_mock(tmp_path_factory.mktemp("mock")) as running:
        yield running


@pytest.fixture
def environment(server: Server, mock: Server) -> dict[str, str]:
    """What a program needs to reach the live server as a new user."""
    return clean_environment() | {
        "API": server.url,
        "MOCK": mock.url,
        "TOKEN": sign(f"user-{uuid.uuid4()}"),
        "OTHER_TOKEN": sign(f"user-{uuid.uuid4()}"),
    }


@pytest.fixture
def new_token() -> Callable[[], str]:
    """Call it for a token of a user whom nobody else knows."""
    return lambda: sign(f"user-{uuid.uuid4()}")
