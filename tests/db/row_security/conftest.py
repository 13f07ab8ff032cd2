"""Two users with rows."""

import pytest

from db.engine import Connection
from tests.db.row_security.owners import RowOwner, new_owner


@pytest.fixture
def alice(connection: Connection) -> RowOwner:
    return new_owner(connection, "alice")


@pytest.fixture
def bob(connection: Connection) -> RowOwner:
    return new_owner(connection, "bob")
