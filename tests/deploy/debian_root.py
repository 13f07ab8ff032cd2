"""Folders with a bare Debian, in which tests run commands as a container engine would."""

import ast
import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.processes import is_alive
from tests.programs import installed, require

SUITE = "trixie"
PACKAGES = ("python3", "python3-venv", "make")
"""What README asks for. Python's version is that of the Dockerfile's base image."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUILD_SECONDS = 300
_NEW_MOUNTS = 0x00020000
"""CLONE_NEWNS of unshare(2). Python has os.unshare from 3.12 on."""

# Mounts end with the process, because it has its own namespace of mounts.
_ENTER = """
set -eu
root=$1 writable=$2 user=$3 folder=$4
shift 4
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
    [ -d "$1" ] && mkdir -p "$root$2" || { mkdir -p "$(dirname "$root$2")"; touch "$root$2"; }
    mount --bind -o ro "$1" "$root$2"
    shift 2
done
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root/dev/shm"
if [ "$writable" = no ]; then
    mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root/tmp"
    mount -o remount,ro,bind "$root"
fi
set -- sh -c 'cd "$1" && shift && exec "$@"' sh "$folder" "$@"
exec chroot --userspec="$user" --groups= "$root" "$@"
"""


def command_in(
    root: Path,
    *command: str,
    user: str = "0:0",
    folder: str = "/",
    writable: bool = True,
    is_init: bool = True,
    mounts: Mapping[Path, str] | None = None,
) -> list[str]:
    """Return the command line that runs `command` in the root.

    A root that is not writable has an empty /tmp, which cannot contain programs. With `is_init`,
    the command is process 1, as in a container: signals without a handler are ignored, and other
    processes end with it. `mounts` are files and folders of this machine that the command may
    read, with their paths in the root.
    """
    pairs = [part for source, target in (mounts or {}).items() for part in (str(source), target)]
    enter = ["sh", "-c", _ENTER, "sh", str(root), "yes" if writable else "no", user, folder]
    init = ["--pid", "--fork", "--kill-child=KILL"] if is_init else []
    return ["unshare", "--mount", *init, *enter, *pairs, "--", *command]


def run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a command to its end, such as one of `command_in`; fail with its output if it fails."""
    ran = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}"
    return ran.stdout


@contextmanager
def new_root() -> Iterator[Path]:
    """Yield a folder with a bare Debian and PACKAGES, which `copied` copies."""
    program = installed("debootstrap", "apt-get install debootstrap")
    require(os.geteuid() == 0, "root")
    with _folder_in_memory() as folder:
        packages = f"--include={','.join(PACKAGES)}"
        subprocess.run(
            ["unshare", "--mount", program, "--variant=minbase", packages, SUITE, folder / "base"],
            env={"PATH": PATH, "DPKG_FORCE": "unsafe-io"},  # without fsync
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=BUILD_SECONDS,
        )
        for unneeded in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(folder / "base" / unneeded)
        yield folder / "base"


@contextmanager
def _folder_in_memory() -> Iterator[Path]:
    """Yield a folder for 2 GB in 60,000 files, which a busy disk takes minutes to write and delete.

    This thread gets its own namespace of mounts, so nothing is left if the tests are killed.
    """
    with tempfile.TemporaryDirectory(prefix="agent-api-debian-") as name:
        libc = ctypes.CDLL(None, use_errno=True)
        is_there = libc.unshare(_NEW_MOUNTS) == 0
        require(is_there, f"a namespace of mounts: {os.strerror(ctypes.get_errno())}")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4g,mode=755", "tmpfs", name], check=True
        )
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def processes_in(root: Path) -> list[psutil.Process]:
    """Return the running processes that were started in the root."""
    return [
        process
        for process in psutil.process_iter()
        if is_alive(process) and _root_of(process.pid) == str(root)
    ]


def _root_of(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/root").readlink())
    except OSError:  # it has ended, or is not ours
        return ""


def copied(root: Path, name: str) -> Path:
    """Copy a root to a folder beside it."""
    target = root.with_name(name)
    subprocess.run(["cp", "-a", "--reflink=auto", root, target], check=True)
    return target


def pip_settings(folder: Path) -> dict[Path, str]:
    """Write this machine's settings of pip to a file; return what to mount, and the file first.

    Settings can name folders of this machine. An index's pages can link to files beside its folder.
    """
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    settings = {
        re.sub(r"^.*\.", "", name): ast.literal_eval(value)
        for name, value in (line.split("=", 1) for line in sorted(listed.splitlines()))
    }
    lines = [f"{name} = {' '.join(value.split())}" for name, value in settings.items()]
    file = folder / "pip.conf"
    file.write_text("\n".join(["[global]", *lines, ""]))
    mounts = {file: "/etc/pip.conf"}
    for name, value in settings.items():
        for word in value.split():
            path = Path(urlsplit(word).path)
            if word.startswith(("/", "file:")) and path.exists():
                place = path.parent if name.endswith("index-url") else path
                mounts[place] = str(place)
    return mounts
