"""Reads the text of each kind of setting; a ValueError completes the sentence "AGENT_API_X ..."."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

MIN_SECRET_BYTES = 32
"""HS256 needs a key of at least its hash's size (RFC 7518 section 3.2)."""


def text(value: str) -> str:
    return value


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        is_number = value.isascii() and value.isdigit() and len(value) <= 12
        if not (is_number and low <= int(value) <= high):
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return parse


def choice(*options: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in options:
            raise ValueError(f"must be one of: {', '.join(options)}")
        return value.lower()

    return parse


def secret(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must be UTF-8") from error
    if len(value.encode()) < MIN_SECRET_BYTES:
        raise ValueError(
            f"must have at least {MIN_SECRET_BYTES} bytes; make one with: openssl rand -hex 32"
        )
    return value


def _expanded(value: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError("begins with the home of a user who does not exist") from error


def file(value: str) -> Path:
    path = _expanded(value)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    return path


def folder(value: str) -> Path:
    path = _expanded(value)
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def url(*schemes: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"must be a URL that starts with {schemes[0]}://")
        return value

    return parse


def database_url(value: str) -> str:
    from db import address  # loads SQLAlchemy, which a command without a URL need not wait for

    address.normalise(value)
    return value


def origins(value: str) -> tuple[str, ...]:
    origins = tuple(origin.strip().rstrip("/") for origin in value.split(",") if origin.strip())
    if not origins:
        raise ValueError("names no origin")
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (
            parts.scheme not in ("http", "https")
            or not parts.netloc
            or parts.path
            or parts.query
            or parts.fragment
        ):
            raise ValueError("must be * or a comma-separated list such as https://chat.example.org")
    return origins
