"""What some tests need of the machine, and cannot bring along.

Not every machine can install Debian's packages, and not every user may use namespaces. Without them
the tests are skipped, and say what to install. `.ci/run` installs it if it runs as root.
"""

import os
import shutil

import pytest

PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
"""Debian installs servers where ordinary users do not look for programs."""


def installed(name: str, source: str) -> str:
    """Return the path of a program; skip the test if it is missing. `source` says where it is."""
    path = shutil.which(name, path=PATH)
    if path is None:
        pytest.skip(f"{name} is missing: {source}")  # a package that pip cannot install
    return path


def require(is_there: bool, what: str) -> None:
    """Skip the test unless what it needs `is_there`."""
    if not is_there:
        pytest.skip(f"needs {what}")  # a right that the tests cannot give themselves
