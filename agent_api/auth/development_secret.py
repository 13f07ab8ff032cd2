"""Keeps the development secret in a file that only its owner can read."""

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from agent_api.settings import ConfigError
from agent_api.settings.storage import make_data_dir

FILE_NAME = "jwt-secret"


def load_or_create(data_dir: Path, *, on_new: Callable[[str], None] = lambda _: None) -> str:
    """Return the secret of `data_dir`, and create it if necessary.

    Several processes can do this at the same time. Calls `on_new` with a message if this call
    created it. Raises ConfigError if the file is unusable or other users can read it.
    """
    path = data_dir / FILE_NAME
    try:
        make_data_dir(data_dir)
        if not path.exists():
            _create(path)
            on_new(f"Created a secret in {path}. Only servers with this data folder know it.")
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"Other users can read {path}: run chmod 600 {path}")
        secret = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"Cannot use the development secret in {path}: {error}. "
            "Set AGENT_API_DATA_DIR to a folder that you own, or configure a key."
        ) from error
    if len(secret) < 64:
        raise ConfigError(f"{path} does not contain a secret: remove it to create a new one")
    return secret


def _create(path: Path) -> None:
    """Link a complete temporary file to `path`, so that no process reads half a secret."""
    draft = path.with_name(f"{FILE_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        os.link(draft, path)
    except FileExistsError:
        pass  # another process has created the secret
    finally:
        draft.unlink()
