"""Two owners, and the rights that they give to members and workers."""

import uuid
from collections.abc import Iterator

import pytest

from db.engine import Connection, acting_under
from tests.db.members_and_workers.owners import Owner


@pytest.fixture
def alice(connection: Connection, user: str) -> Owner:
    return Owner(connection, user)


@pytest.fixture
def bob(connection: Connection) -> Owner:
    return Owner(connection, f"bob-{uuid.uuid4()}")


@pytest.fixture
def granted(alice: Owner, bob: Owner) -> Iterator[dict[str, str]]:
    """Read as a member of Alice's conversation; return the acting user."""
    with acting_under(alice.grant()):
        yield {"acting_user": alice.user}


@pytest.fixture
def leased(alice: Owner, bob: Owner) -> Iterator[dict[str, str]]:
    """Act under the lease on Alice's run; return the acting user."""
    with acting_under(alice.lease):
        yield {"acting_user": alice.user}
