"""Owns where the embedded PostgreSQL's files lie and whom they belong to."""

import hashlib
import os
import pwd
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from db.errors import EmbeddedError

ELSEWHERE = "set AGENT_API_DATABASE_URL to a PostgreSQL of your own"

# A socket's whole path has 103 bytes on macOS and 107 on Linux; its name takes 14 of them.
# Outside of these characters libpq's and PostgreSQL's lists of folders would need quoting.
USABLE_SOCKET_FOLDER = re.compile(r"/[A-Za-z0-9._/ -]{1,88}")
# Not TMPDIR or XDG_RUNTIME_DIR: every process must find the same folder, whatever its environment.
SHORT_FOLDERS = Path("/tmp")  # noqa: S108 - check_private refuses what others put there


@dataclass(frozen=True)
class Account:
    """Whom the server runs as; `switch` says whether that takes a change of user (from root)."""

    uid: int
    gid: int
    switch: bool

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"with the number {self.uid}"


def make_folder(path: Path) -> None:
    """Make the folder and what is missing above it: private, or as root one that can be crossed.

    What exists is left as it is, whoever owns it.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    mode = 0o711 if os.geteuid() == 0 else 0o700
    for folder in reversed(missing):
        try:
            folder.mkdir(mode)
        except FileExistsError:  # another process was quicker
            continue
        folder.chmod(mode)  # mkdir's mode passes through the umask


def choose_account(folder: Path) -> Account:
    """The user of this process, or, as PostgreSQL refuses to run as root, one without rights."""
    uid = os.geteuid()
    if uid != 0:
        return Account(uid, os.getegid(), switch=False)
    data = folder / "data"
    if data.exists():
        owner = data.stat()
        if owner.st_uid == 0:
            raise EmbeddedError(
                f"{data} belongs to root, and PostgreSQL refuses to run as root:"
                f" give it to an ordinary user with chown -R"
            )
        return Account(owner.st_uid, owner.st_gid, switch=True)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid, switch=True)
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, and there is no user named postgres or nobody to run"
        " it as: add one, run this as an ordinary user, or " + ELSEWHERE
    )


def refuse_closed_folders(folder: Path, account: Account) -> None:
    for place in reversed((folder, *folder.parents)):
        entry = place.stat()
        if entry.st_uid == account.uid:
            enter = stat.S_IXUSR
        else:
            enter = stat.S_IXGRP if entry.st_gid == account.gid else stat.S_IXOTH
        if account.switch and not entry.st_mode & enter:
            raise EmbeddedError(
                f"PostgreSQL runs as the user {account.name}, who cannot enter {place}:"
                " set AGENT_API_DATA_DIR to a folder such as /var/lib/agent-api"
            )


def socket_folder(folder: Path, account: Account) -> Path:
    """Where the server of the folder listens: the same answer in every process that asks.

    A path too long for a socket has a short stand-in, named after the folder's identity, not its
    path, so that a copied data folder does not meet the original's server.
    """
    inside = folder / "run"
    if USABLE_SOCKET_FOLDER.fullmatch(str(inside)):
        return inside
    entry = folder.stat()
    identity = hashlib.sha256(f"{entry.st_dev}:{entry.st_ino}".encode()).hexdigest()[:16]
    return SHORT_FOLDERS / f"agent-api-{account.uid}-{identity}"


def check_private(path: Path, account: Account) -> None:
    """Refuse a socket folder that somebody else made: a false server could wait in it."""
    entry = path.lstat()
    if (
        not stat.S_ISDIR(entry.st_mode)
        or entry.st_uid != account.uid
        or stat.S_IMODE(entry.st_mode) & 0o077
    ):
        raise EmbeddedError(
            f"{path} is not a private folder of the user {account.name}: remove it, or set"
            " AGENT_API_DATA_DIR to a folder with a shorter path"
        )


def make_private(path: Path, account: Account) -> None:
    """Make the folder where it is missing; it is there only once it belongs to the account."""
    if not os.path.lexists(path):
        made = Path(tempfile.mkdtemp(prefix=f"{path.name}.", dir=path.parent))
        if account.switch:
            os.chown(made, account.uid, account.gid, follow_symlinks=False)
        made.rename(path)
    check_private(path, account)
