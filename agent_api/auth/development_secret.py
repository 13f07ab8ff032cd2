"""The development secret: made once, kept in the data folder, readable by its owner alone."""

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from agent_api.settings import ConfigError
from agent_api.settings.storage import make_data_dir

FILE_NAME = "jwt-secret"


def load_or_create(data_dir: Path, *, on_new: Callable[[str], None] = lambda _: None) -> str:
    """Return the secret of `data_dir`, made on first use, also by several processes at once.

    `on_new` is told of one that was made. Raises ConfigError where it cannot be kept or others can
    read it.
    """
    path = data_dir / FILE_NAME
    try:
        make_data_dir(data_dir)
        if not path.exists():
            _create(path)
            on_new(f"A new secret is in {path}: only a server with this data folder will know it.")
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"{path} can be read by others: run chmod 600 {path}")
        secret = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The development secret cannot be kept in {path}: {error}. "
            "Set AGENT_API_DATA_DIR to a folder of yours, or configure a key."
        ) from error
    if len(secret) < 64:
        raise ConfigError(f"{path} holds no secret: remove it, and a new one is made")
    return secret


def _create(path: Path) -> None:
    """Write the whole file before it gets its name, so that nobody ever reads half of it."""
    draft = path.with_name(f"{FILE_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first: its secret is the one
    finally:
        draft.unlink()
