"""The settings of the server: frozen, checked once, and the only reader of the environment."""

import ipaddress
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import platformdirs

from agent_api.settings import values as values

PREFIX = "AGENT_API_"


class ConfigError(Exception):
    """A setting that cannot be used; the message is one line that names it and says what to do."""


_READERS: Mapping[str, Callable[[str], Any]] = {
    "database_url": values.database_url,
    "data_dir": values.folder,
    "host": values.text,
    "port": values.integer(1, 65535),
    "workers": values.integer(1, 64),
    "jwt_secret": values.secret,
    "jwt_jwks_url": values.url("https", "http"),
    "jwt_public_key_file": values.file,
    "jwt_issuer": values.text,
    "jwt_audience": values.text,
    "cors_origins": values.origins,
    "max_body_bytes": values.integer(1024, 1 << 30),
    "client_timeout_seconds": values.integer(1, 3600),
    "keep_alive_seconds": values.integer(1, 3600),
    "grace_seconds": values.integer(1, 3600),
    "pool_size": values.integer(1, 100),
    "statement_timeout_ms": values.integer(100, 3_600_000),
    "rate_limit_per_minute": values.integer(1, 1_000_000),
    "rate_limit_burst": values.integer(1, 1_000_000),
    "log_level": values.choice("debug", "info", "warning", "error"),
    "log_format": values.choice("text", "json"),
    "metrics_host": values.text,
    "metrics_port": values.integer(1, 65535),
    "tracing": values.choice("off", "otlp"),
}


def default_data_dir() -> Path:
    """Return the platform's data folder of the user; for root `/var/lib/agent-api`."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/agent-api")
    return platformdirs.user_data_path("agent-api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an operator can set; each field is `AGENT_API_` and its name in capitals."""

    database_url: str | None = None
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    jwt_secret: str | None = None
    jwt_jwks_url: str | None = None
    jwt_public_key_file: Path | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 1024 * 1024
    client_timeout_seconds: int = 30
    keep_alive_seconds: int = 75
    grace_seconds: int = 10
    pool_size: int = 10
    statement_timeout_ms: int = 5000
    rate_limit_per_minute: int | None = None
    rate_limit_burst: int | None = None
    log_level: str = "info"
    log_format: str = "json"
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    tracing: str = "off"

    def __repr__(self) -> str:
        """Name no value: a URL or a secret must not reach a log."""
        return "Settings(...)"

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        needs_key: bool = True,
        **overrides: Any,
    ) -> Self:
        """Read `environ`, by default the process's own.

        `overrides` are values of the command line, which win where they are not None. What keeps
        nobody's data does not need a key.

        Raises ConfigError for an unknown variable, an unusable value, two keys, a burst without a
        limit, or a host that others can reach while no key is configured.
        """
        chosen: dict[str, Any] = {}
        for variable, value in sorted((os.environ if environ is None else environ).items()):
            if not variable.startswith(PREFIX):
                continue
            name = variable.removeprefix(PREFIX).lower()
            if name not in _READERS or variable != PREFIX + name.upper():
                known = ", ".join(PREFIX + field.name.upper() for field in fields(cls))
                raise ConfigError(f"{variable} is no setting of the agent API. There are: {known}")
            if not value.strip():
                raise ConfigError(f"{variable} is empty: give it a value or unset it")
            try:
                chosen[name] = _READERS[name](value)
            except ValueError as error:
                raise ConfigError(f"{variable} {error}") from error
        chosen.setdefault("log_format", "text" if sys.stderr.isatty() else "json")
        chosen.update((name, value) for name, value in overrides.items() if value is not None)
        if "data_dir" not in chosen:
            chosen["data_dir"] = default_data_dir()
        settings = cls(**chosen)
        settings._check_keys(needs_key, "--host" if overrides.get("host") else f"{PREFIX}HOST")
        if settings.rate_limit_burst is not None and settings.rate_limit_per_minute is None:
            raise ConfigError(
                f"{PREFIX}RATE_LIMIT_BURST limits nothing by itself: "
                f"set {PREFIX}RATE_LIMIT_PER_MINUTE too"
            )
        if "metrics_host" in chosen and settings.metrics_port is None:
            raise ConfigError(
                f"{PREFIX}METRICS_HOST serves nothing by itself: set {PREFIX}METRICS_PORT too"
            )
        if settings.metrics_port == settings.port:
            raise ConfigError(
                f"{PREFIX}METRICS_PORT {settings.port} is the port of the API: choose another"
            )
        return settings

    def _check_keys(self, needs_key: bool, host: str) -> None:
        keys = ("jwt_secret", "jwt_jwks_url", "jwt_public_key_file")
        given = [PREFIX + key.upper() for key in keys if getattr(self, key) is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} exclude each other: set one")
        if needs_key and not given and not is_loopback(self.host):
            raise ConfigError(
                f"{host} {self.host} can be reached by others, so a key must be configured: "
                f"set one of {', '.join(PREFIX + key.upper() for key in keys)}"
            )

    def hand_down(self) -> None:
        """Leave what the command line chose in the environment, where child processes load it."""
        for name in ("host", "port", "workers"):
            os.environ[PREFIX + name.upper()] = str(getattr(self, name))

    @property
    def can_sign(self) -> bool:
        """Tell whether tokens are signed with a secret that this machine has."""
        return self.jwt_jwks_url is None and self.jwt_public_key_file is None

    @property
    def has_key(self) -> bool:
        """Tell whether the operator configured a key; otherwise the development secret serves."""
        return bool(self.jwt_secret or self.jwt_jwks_url or self.jwt_public_key_file)


def hand_down_metrics_folder(folder: str) -> None:
    """Tell prometheus_client, here and in child processes, in which folder it shares its counts."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches `host`, a name or an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
