"""A machine with systemd: process 1 in namespaces of its own, in a folder with a bare Debian."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.deploy.debian_root import PATH
from tests.processes import wait_until
from tests.programs import require

SECONDS = 60
_HIERARCHIES = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]

# systemd sets up namespaces of services below /, so a chroot does not suffice.
_BOOT = """
set -eu
echo $$ >"$2/cgroup.procs"
exec unshare --mount --pid --cgroup --uts --ipc --fork --kill-child=KILL sh -euc '
    root=$1
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/dev"
    for name in null zero full random urandom tty; do
        touch "$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/mqueue" "$root/dev/hugepages" "$root/old"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount -t devpts devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    touch "$root/dev/console"
    cd "$root"
    pivot_root . old
    cd /
    umount -l /old
    exec env -i container=test PATH="$PATH" /lib/systemd/systemd --system --unit=basic.target
' sh "$1"
"""


@dataclass(frozen=True)
class Machine:
    """A running systemd."""

    init: int

    def run(self, *command: str) -> str:
        """Run a command; return its output, or fail with it and the end of the journal."""
        ran = self._run(*command)
        assert ran.returncode == 0, ran.stdout + self.journal()
        return ran.stdout

    def property(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--property", name, "--value", unit).strip()

    def journal(self) -> str:
        return self._run("journalctl", "--no-pager", "--output=cat").stdout

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "--target", str(self.init), "--mount", "--pid", "--cgroup"]
        return subprocess.run(
            [*enter, *command],
            env={"PATH": PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Start systemd in the root, which contains it; kill all of its processes after the block."""
    with _new_cgroup() as cgroup:
        process = subprocess.Popen(
            ["sh", "-c", _BOOT, "sh", root, cgroup],
            env={"PATH": PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            parent = psutil.Process(process.pid)
            wait_until(lambda: bool(parent.children()), SECONDS)
            machine = Machine(parent.children()[0].pid)
            wait_until(lambda: "basic.target" in _active(machine), SECONDS)
            yield machine
        finally:
            process.kill()
            process.wait()


def _active(machine: Machine) -> str:
    return machine._run("systemctl", "list-units", "--state=active", "--type=target").stdout


@contextmanager
def _new_cgroup() -> Iterator[Path]:
    """Yield a new group of the unified hierarchy, in which systemd may make its own."""
    hierarchies = [path for path in _HIERARCHIES if (path / "cgroup.procs").exists()]
    writable = [path for path in hierarchies if os.access(path, os.W_OK)]
    require(bool(writable), "cgroups (version 2) that may be changed")
    group = Path(tempfile.mkdtemp(prefix="agent-api-", dir=writable[0]))
    try:
        yield group
    finally:
        for folder, _, _ in os.walk(group, topdown=False):
            _remove_when_empty(Path(folder))


def _remove_when_empty(cgroup: Path) -> None:
    wait_until(lambda: not (cgroup / "cgroup.procs").read_text(), SECONDS)
    cgroup.rmdir()
