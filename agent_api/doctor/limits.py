"""Checks the limits of the processes: open files, memory, and whether workers can be started."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from agent_api.doctor.finding import Finding, count, ok, warning
from agent_api.server import startup_checks
from agent_api.server.connection_limit import most_connections
from agent_api.settings import Settings

if sys.platform != "win32":
    import resource

MIB = 1 << 20
WORKER_BYTES = 150 * MIB
"""A worker takes 120 MB after 100,000 requests, and more while it handles large bodies."""


def check_open_files(settings: Settings) -> Iterator[Finding]:
    """Yield whether a worker may open as many files as it may have streams.

    The server raises its limit to the hard limit.
    """
    if sys.platform == "win32":
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = most_connections(hard)
    files = "any number of" if hard == resource.RLIM_INFINITY else str(hard)
    text = f"{files} open files allow {most} connections of a worker"
    if most < settings.max_streams:
        yield warning(
            "open-files",
            f"{text}; AGENT_API_MAX_STREAMS allows {settings.max_streams} streams",
            "Raise the limit (LimitNOFILE= in systemd, ulimit -n), or lower AGENT_API_MAX_STREAMS.",
        )
    else:
        yield ok("open-files", text)


def check_memory(settings: Settings) -> Iterator[Finding]:
    """Yield whether the memory suffices for the workers."""
    processes = settings.workers + (settings.workers > 1)
    needed = processes * WORKER_BYTES
    limit = _memory_limit()
    if limit is None:
        return
    text = f"{limit // MIB:,} MiB; the server's processes need about {needed // MIB:,} MiB"
    if limit < needed:
        yield warning("memory", text, "Raise the memory limit, or lower AGENT_API_WORKERS.")
    else:
        yield ok("memory", text)


def _memory_limit() -> int | None:
    """Return the memory of the machine or the smaller limit of its control group, if known."""
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names:
        return None
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _cgroup_files():
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:  # this machine has the other version of cgroups
            continue
        if text.isdigit():  # otherwise "max"
            limits.append(int(text))
    return min(limits)


def _cgroup_files() -> Iterator[Path]:
    """Yield the files that can limit the memory of this process, in cgroups v2 and v1.

    A limit of a parent applies as well. In a container, the group itself is mounted as the root.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return
    root = Path("/sys/fs/cgroup")
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            place, file = root, "memory.max"
        elif "memory" in controllers.split(","):
            place, file = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = place / name.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(place):
                yield folder / file


def check_workers(settings: Settings) -> Iterator[Finding]:
    """Yield whether workers can be started, and how many processors there are for them.

    Raises ConfigError if they cannot.
    """
    if settings.workers > 1:
        startup_checks.check_workers()
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    text = f"{count(settings.workers, 'worker')}, {count(cores, 'processor')}"
    if settings.workers > 2 * cores:
        yield warning("workers", text, "Set AGENT_API_WORKERS to the number of processors.")
    else:
        yield ok("workers", text)
