"""A client of the parcels application."""

from collections.abc import Iterator

import httpx
import pytest

from tests.framework.apps import framework_app, serving
from tests.framework.parcels import CONTRACT, HANDLERS


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(framework_app(CONTRACT, HANDLERS)) as connected:
        yield connected
