"""Runs all checks at the same time, each with a timeout, and collects what they find."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from agent_api.doctor import configuration, database, keys, limits, machine
from agent_api.doctor.finding import Finding, error
from agent_api.settings import ConfigError, Settings
from db.errors import EmbeddedError

SECONDS = 20
"""Timeout of a check, which is longer than those of its connections and statements together."""


class Check(NamedTuple):
    """A function that yields findings, and the name for a finding about its failure."""

    name: str
    run: Callable[[], Iterable[Finding]]


def examine(**options: Any) -> list[Finding]:
    """Return the findings of all checks. `options` are those of `agent-api serve`."""
    reading = configuration.read(**options)
    checks = [
        Check("time-zone", machine.check_time_zone),
        Check("temporary-folder", machine.check_temporary_folder),
    ]
    if reading.settings is not None:
        checks = [*_checks(reading.settings, reading.refused), *checks]
    return [*reading.findings, *run(checks)]


def _checks(settings: Settings, refused: list[str]) -> list[Check]:
    """Return the checks whose settings are not `refused`."""
    checks = [
        Check("cors", lambda: configuration.check(settings)),
        Check("data-folder", lambda: machine.check_data_folder(settings)),
        Check("open-files", lambda: limits.check_open_files(settings)),
        Check("memory", lambda: limits.check_memory(settings)),
        Check("workers", lambda: limits.check_workers(settings)),
    ]
    if not any(name.startswith("AGENT_API_JWT_") for name in refused):
        checks.insert(1, Check("keys", lambda: keys.check(settings)))
    if "AGENT_API_DATABASE_URL" not in refused:
        checks.insert(1, Check("database", lambda: database.check(settings)))
        checks.insert(2, Check("replica", lambda: database.check_replica(settings)))
    return checks


def run(checks: list[Check], *, seconds: float = SECONDS) -> list[Finding]:
    """Return what the checks found within `seconds`, in their order.

    Each one runs in a thread that is abandoned if it hangs: not even a name server must stop this.
    """
    collected: list[list[Finding]] = [[] for _ in checks]
    threads = [
        threading.Thread(target=_collect, args=pair, daemon=True)
        for pair in zip(checks, collected, strict=True)
    ]
    until = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    findings = []
    for check, thread, found in zip(checks, threads, collected, strict=True):
        thread.join(max(0.0, until - time.monotonic()))
        findings += found
        if thread.is_alive():
            findings.append(
                error(
                    check.name,
                    f"This check did not end within {seconds:g} s",
                    "Look at what it was waiting for: a name server, a disk or a host.",
                )
            )
    return findings


def _collect(check: Check, found: list[Finding]) -> None:
    """Append what the check finds; its failure is a finding, too, and hides no other one."""
    try:
        for finding in check.run():
            found.append(finding)  # noqa: PERF402  # one by one, because the check may hang later
    except (ConfigError, EmbeddedError) as refusal:
        found.append(error(check.name, str(refusal), "See the page Troubleshooting."))
    except Exception as defect:  # noqa: BLE001  # one defect must not hide the other findings
        place = defect.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{place.tb_frame.f_globals.get('__name__')}:{place.tb_lineno}" if place else "?"
        found.append(
            error(
                check.name,
                f"This check failed: {type(defect).__name__} in {where}",
                "Please report this as a bug, with this line.",
            )
        )
