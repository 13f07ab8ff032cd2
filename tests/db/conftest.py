"""Fixtures of the database layer: the configured engine, and rows of a new user."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from db import engine
from db.engine import Connection
from tests.db.holding import Configure, configure_for
from tests.db.rows import TRACED, insert_conversation, insert_run


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """The URL of a new, empty database."""
    return new_database()


@pytest.fixture
def migrated_url(new_migrated_database: Callable[[], str]) -> str:
    """The URL of a new database with the schema."""
    return new_migrated_database()


@pytest.fixture
def configured(database_url: str) -> Iterator[None]:
    engine.configure(database_url, pool_size=32, statement_timeout_ms=10_000, hooks=TRACED)
    yield
    engine.dispose()


@pytest.fixture
def configure(database_url: str) -> Iterator[Configure]:
    """Configures a pool of the given size."""
    yield partial(configure_for, database_url)
    engine.dispose()


@pytest.fixture
def dispose() -> Iterator[None]:
    """Close the pool that the test configures."""
    yield
    engine.dispose()


@pytest.fixture
def connection(configured: None) -> Iterator[Connection]:
    with engine.autocommit() as opened:
        yield opened


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4()}"


@pytest.fixture
def conversation_id(connection: Connection, user: str) -> str:
    return insert_conversation(connection, user)


@pytest.fixture
def run_id(connection: Connection, user: str) -> str:
    return insert_run(connection, user)
