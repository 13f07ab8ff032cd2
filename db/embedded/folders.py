"""Chooses the folders of the embedded PostgreSQL and the account that owns them."""

import hashlib
import os
import pwd
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from db.errors import EmbeddedError

USE_OWN_SERVER = "set AGENT_API_DATABASE_URL to your own PostgreSQL server"

# A socket path has at most 103 bytes on macOS and 107 on Linux, 14 of them for the file name.
# Other characters would need quoting in libpq's and PostgreSQL's lists of folders.
USABLE_SOCKET_FOLDER = re.compile(r"/[A-Za-z0-9._/ -]{1,88}")
# Not TMPDIR or XDG_RUNTIME_DIR: all processes must find the same folder in any environment.
SHORT_PARENT = Path("/tmp")  # noqa: S108 - check_private refuses other users' folders


@dataclass(frozen=True)
class Account:
    """The user that the server runs as; `switch` if root has to change to that user."""

    uid: int
    gid: int
    switch: bool

    @property
    def name(self) -> str:
        """Return the user's name, or the uid of a user without a name."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def make_folder(path: Path) -> None:
    """Create the folder and its missing parents: private, or as root with mode 0711.

    Existing folders do not change.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    mode = 0o711 if os.geteuid() == 0 else 0o700
    for folder in reversed(missing):
        try:
            folder.mkdir(mode)
        except FileExistsError:  # another process has created it
            continue
        folder.chmod(mode)  # the umask restricts mkdir's mode


def choose_account(folder: Path) -> Account:
    """Return this process's user or, because PostgreSQL refuses root, an unprivileged one."""
    uid = os.geteuid()
    if uid != 0:
        return Account(uid, os.getegid(), switch=False)
    data = folder / "data"
    if data.exists():
        owner = data.stat()
        if owner.st_uid == 0:
            raise EmbeddedError(
                f"{data} belongs to root, but PostgreSQL refuses to run as root:"
                " give it to another user with chown -R"
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
        "PostgreSQL refuses to run as root, and neither user postgres nor nobody exists:"
        " add one, run this as another user, or " + USE_OWN_SERVER
    )


def refuse_closed_folders(folder: Path, account: Account) -> None:
    """Raise EmbeddedError if the account may not enter `folder` or one of its parents."""
    for place in reversed((folder, *folder.parents)):
        entry = place.stat()
        if entry.st_uid == account.uid:
            enter = stat.S_IXUSR
        else:
            enter = stat.S_IXGRP if entry.st_gid == account.gid else stat.S_IXOTH
        if account.switch and not entry.st_mode & enter:
            raise EmbeddedError(
                f"PostgreSQL runs as user {account.name}, who cannot enter {place}:"
                " set AGENT_API_DATA_DIR to a folder such as /var/lib/agent-api"
            )


def socket_folder(folder: Path, account: Account) -> Path:
    """Return the folder of the server's socket, which is the same in every process.

    If the path is too long for a socket, a short one is derived from the folder's device and inode,
    not from its path: a copy of a data folder must not reach the original's server.
    """
    inside = folder / "run"
    if USABLE_SOCKET_FOLDER.fullmatch(str(inside)):
        return inside
    entry = folder.stat()
    identity = hashlib.sha256(f"{entry.st_dev}:{entry.st_ino}".encode()).hexdigest()[:16]
    return SHORT_PARENT / f"agent-api-{account.uid}-{identity}"


def check_private(path: Path, account: Account) -> None:
    """Refuse another user's folder: that user could run a false server in it."""
    entry = path.lstat()
    if (
        not stat.S_ISDIR(entry.st_mode)
        or entry.st_uid != account.uid
        or stat.S_IMODE(entry.st_mode) & 0o077
    ):
        raise EmbeddedError(
            f"{path} is not a private folder of user {account.name}: remove it, or set"
            " AGENT_API_DATA_DIR to a folder with a shorter path"
        )


def make_private(path: Path, account: Account) -> None:
    """Create the folder unless it exists; it appears only when it belongs to the account."""
    if not os.path.lexists(path):
        made = Path(tempfile.mkdtemp(prefix=f"{path.name}.", dir=path.parent))
        if account.switch:
            os.chown(made, account.uid, account.gid, follow_symlinks=False)
        made.rename(path)
    check_private(path, account)
