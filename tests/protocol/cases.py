"""What the protocol tests share: marks, headers, Hypothesis settings, and names for cases."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings

from tests.contract import CONTRACT, WITH_BODY, name_of

ORIGIN = "https://chat.example.org"
"""The origin whose browsers may call the small server."""
SMALL = 1024
"""The body limit of the small server, in bytes."""
JSON = {"Content-Type": "application/json"}
EVERY_PATH = pytest.mark.parametrize("path", CONTRACT["paths"])
EVERY_OPERATION_WITH_A_BODY = pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
PROPERTY = settings(
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@contextmanager
def case(*values: object) -> Iterator[None]:
    """Name `values` if an assertion fails in the block."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"case: {', '.join(map(repr, values))[:300]}")
        raise
