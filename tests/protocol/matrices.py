"""What the tests of the protocol share: the marks that make a test of each operation."""

import pytest
from hypothesis import HealthCheck, settings

from tests.contract import CONTRACT, WITH_BODY, name_of

ORIGIN = "https://chat.example.org"
"""From where browsers may call the small server."""
SMALL = 1024
"""The bytes that the small server takes in a body."""
JSON = {"Content-Type": "application/json"}
EVERY_PATH = pytest.mark.parametrize("path", CONTRACT["paths"])
EVERY_OPERATION_WITH_A_BODY = pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
PROPERTY = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
