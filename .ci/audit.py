"""Asks pip-audit whether the locked packages have known vulnerabilities: `.ci/audit.py LOCK...`.

Exits with 1 where there are some, or where a lock cannot be read. Where no source of advisories
can be reached it says so loudly and exits with 0: no change is at fault for that.
"""

import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

SOURCES = ("pypi", "osv")  # the second one is asked where the first gives no answer
SECONDS = 300  # for all packages at one source
SOCKET_SECONDS = 10
# pip-audit exits with 1 for vulnerabilities and for every failure of its own. These words are of a
# source that cannot be reached, gives nonsense or an error; all else is a fault of ours.
NO_ANSWER = (
    "requests.exceptions.",
    "Could not connect to",
    "is not redirecting properly",
    "pip_audit._service.interface.ServiceError",
)


class Audit(NamedTuple):
    """What came of asking one source."""

    vulnerable: list[str]
    unknown: list[str]
    audited: int
    failure: str = ""  # why there is no answer at all
    is_ours: bool = False  # whether that is our own fault


def ask(source: str, locks: list[str]) -> Audit:
    """Audit `locks` with one source."""
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", source]
    command += ["--disable-pip", "--require-hashes", "--format", "json", "--desc", "off"]
    command += ["--progress-spinner", "off", "--timeout", str(SOCKET_SECONDS)]
    command += [part for lock in locks for part in ("--requirement", lock)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, env=os.environ, check=False
        )
    except subprocess.TimeoutExpired:
        return Audit([], [], 0, f"no answer within {SECONDS} s")
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        is_ours = not any(words in done.stderr for words in NO_ANSWER)
        return Audit([], [], 0, lines[-1], is_ours)
    return judge(json.loads(done.stdout))


def judge(report: dict[str, Any]) -> Audit:
    """Read pip-audit's report; a package that the source does not know was not audited."""
    vulnerable = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, mended in "
        f"{' or '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in report["dependencies"]
        for vulnerability in package.get("vulns", ())
    ]
    unknown = [p["name"] for p in report["dependencies"] if "skip_reason" in p]
    return Audit(vulnerable, unknown, len(report["dependencies"]) - len(unknown))


def main(locks: list[str]) -> int:
    """Return the exit code."""
    for source in SOURCES:
        audit = ask(source, locks)
        if audit.is_ours:
            print(f"audit: {audit.failure}", file=sys.stderr)
            return 1
        if audit.vulnerable:
            print(*(f"audit: {line}" for line in audit.vulnerable), sep="\n", file=sys.stderr)
            return 1
        if audit.audited:
            print(f"audit: {audit.audited} packages, none with a known vulnerability at {source}.")
            if audit.unknown:
                print(f"audit: WARNING: {source} does not know {', '.join(audit.unknown)}.")
            return 0
        reason = audit.failure or f"it knows none of the {len(audit.unknown)} packages"
        print(f"audit: no answer from {source}: {reason}", file=sys.stderr)
    print("audit: WARNING: NOTHING WAS AUDITED, no source can be reached.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
