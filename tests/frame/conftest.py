"""Lets these tests import Connexion, which the others only meet in the server's own process."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, but for what Connexion 3.3 does when it is imported."""
    config.addinivalue_line(
        "filterwarnings", r"ignore:jsonschema\..* is deprecated as of:DeprecationWarning"
    )
