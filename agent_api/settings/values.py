"""Converts the text of settings, or raises ValueError. Its message continues "AGENT_API_X ..."."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_ROOT_PATH = re.compile(r"(/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]+)+")

MIN_SECRET_BYTES = 32
"""The size of the hash of HS256 (RFC 7518 section 3.2)."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
"""Browsers omit these ports from an origin."""
_APP_ORIGIN = re.compile(r"(?!(ftp|wss?)://)[a-z][a-z0-9+.-]*://[\w.:\[\]-]+", re.ASCII)
"""The origin of an application or a browser extension, such as tauri://localhost."""


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `low` to `high`."""

    def parse(value: str) -> int:
        is_number = value.isascii() and value.isdigit() and len(value) <= 12
        if not (is_number and low <= int(value) <= high):
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return parse


def choice(*options: str) -> Callable[[str], str]:
    """Return a parser of `options` in any case. Its result is in lower case."""

    def parse(value: str) -> str:
        if value.lower() not in options:
            raise ValueError(f"must be one of: {', '.join(options)}")
        return value.lower()

    return parse


def switch(value: str) -> bool:
    """Return True for on, and False for off."""
    return choice("on", "off")(value) == "on"


def networks(value: str) -> tuple[str, ...]:
    """Return IP addresses and networks in CIDR notation, which commas separate."""
    try:
        return tuple(str(ipaddress.ip_network(text.strip())) for text in value.split(","))
    except ValueError as error:
        raise ValueError(
            "must be addresses or networks, separated by commas, such as 10.0.0.0/8"
        ) from error


def token(value: str) -> str:
    """Return a bearer token (RFC 6750 section 2.1)."""
    if not _TOKEN.fullmatch(value):
        raise ValueError("must be a bearer token, such as agent-api token prints")
    return value


def secret(value: str) -> str:
    """Return a secret of at least MIN_SECRET_BYTES."""
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
        raise ValueError("starts with the home folder of an unknown user") from error


def file(value: str) -> Path:
    """Return the path of a readable file. A ~ at its beginning is expanded."""
    path = _expanded(value)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    return path


def folder(value: str) -> Path:
    """Return an absolute path. A ~ at its beginning is expanded. The folder may be missing."""
    path = _expanded(value)
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def url(*schemes: str) -> Callable[[str], str]:
    """Return a parser of URLs with one of `schemes` and without a fragment."""

    def parse(value: str) -> str:
        parts = _split(value)
        if parts is None or parts.scheme not in schemes or parts.fragment:
            raise ValueError(f"must be a URL such as {schemes[0]}://id.example.org/keys")
        return value

    return parse


def link_url(value: str) -> str:
    """Return what comes before the secret in a link, which may be in a query or a fragment."""
    parts = _split(value)
    if parts is None or parts.scheme not in _DEFAULT_PORTS or value[-1] not in "/=#":
        raise ValueError("must be a URL that ends with /, = or #, such as https://example.org/s/")
    return value


def _split(value: str) -> SplitResult | None:
    """Return the parts of a URL, or None if no client could request it."""
    try:
        parts = urlsplit(value)
        port = parts.port  # raises ValueError unless it is a number up to 65535
    except ValueError:
        return None
    is_clean = value.isprintable() and not any(map(str.isspace, value))
    return parts if parts.hostname and port != 0 and is_clean else None


def database_url(value: str) -> str:
    """Return the URL of a PostgreSQL database, unchanged."""
    # SQLAlchemy is slow to import, and most commands do not need it.
    from db.engine.connections import address

    address.normalise(value)
    return value


def root_path(value: str) -> str:
    """Return a path without a / at its end."""
    if _ROOT_PATH.fullmatch(value) is None:
        raise ValueError("must be a path such as /api, beginning with /, without a final /, ? or %")
    return value


def origins(value: str) -> tuple[str, ...]:
    """Return origins in the form that browsers send, or only *. Commas separate them."""
    given = [text for origin in value.split(",") if (text := origin.strip())]
    if not given:
        raise ValueError("must contain at least one origin")
    if not value.isascii():
        raise ValueError("must be ASCII: write international host names in their xn-- form")
    if "null" in given:
        raise ValueError("cannot contain null, which any page can send: list the origins, or set *")
    found = (
        ("*",) if given == ["*"] else tuple(origin for text in given if (origin := _origin(text)))
    )
    if len(found) < len(given):
        raise ValueError("must be * or a comma-separated list such as https://chat.example.org")
    return found


def _origin(text: str) -> str | None:
    """Return the origin exactly as browsers send it, or None if invalid.

    The hosts of other schemes than http and https can contain capital letters.
    """
    parts = _split(text)
    if parts is None or set(parts.netloc) & set("@*"):
        return None
    if parts.scheme not in _DEFAULT_PORTS:
        origin = f"{parts.scheme}:{text.partition(':')[2].removesuffix('/')}"
        return origin if _APP_ORIGIN.fullmatch(origin) else None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return None
    port = None if parts.port == _DEFAULT_PORTS[parts.scheme] else parts.port
    host = f"[{parts.hostname}]" if "[" in parts.netloc else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")
