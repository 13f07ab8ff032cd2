"""What the protocol tests share: marks, headers, Hypothesis settings, and names for cases."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings

from tests.contract import CONTRACT, WITH_BODY, name_of

ORIGIN = "https://chat.example.org"
"""The origin whose browsers may call the small server."""
APP_ORIGINS = (
    "tauri://localhost",
    "capacitor://localhost",
    "ionic://localhost",
    "app://obsidian.md",
    "app://-",
    "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
    "moz-extension://5c3b6c0e-6f3c-4a6f-8d6d-0f6a2d6f7c11",
    "safari-web-extension://E5A0A9B4-6B7D-4E43-9B5E-6A0B0F3B1A77",
    "vscode-webview://1b2k3j4h5g",
)
"""What browsers send for applications and browser extensions."""
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
