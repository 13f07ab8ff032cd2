"""Schemathesis sends TEST_EXAMPLES requests to each operation, and those at schemas' boundaries.

These tests have their own module because collecting them takes seconds: `make test` leaves it out.
"""

import os

import pytest

from tests.real_rows import Rows
from tests.servers import Server
from tests.test_schemathesis import ENDING, check, follow_links, load, rows

__all__ = ["rows"]  # a fixture

EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "200"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(max(600, 3 * EXAMPLES))]
many = load(max_examples=EXAMPLES, coverage=True)

for _id in ENDING:
    globals()[f"test_{_id}_thoroughly_matches_the_contract"] = check(many, _id)


def test_linked_requests_match_the_contract_thoroughly(server: Server, rows: Rows) -> None:
    reached: set[str] = set()
    for _ in range(min(50, max(1, EXAMPLES // 10))):
        reached |= follow_links(many, server, rows, sequences=20)
    assert reached
