"""How many clients take part in a race, and how often it is repeated."""

import pytest

from tests.calls import attempts

WRITERS = 32


def race(*, usual: int, thorough: int) -> pytest.MarkDecorator:
    """Repeat a test, more often in the Hypothesis profile `ci`."""
    return pytest.mark.parametrize("attempt", range(attempts(usual, thorough)))
