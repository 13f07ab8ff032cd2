"""The settings of the server. Only this package reads environment variables."""

import ipaddress
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import platformdirs

from agent_api.settings import values
from agent_api.settings.service_links import is_service_link

PREFIX = "AGENT_API_"
_SYSTEM_DATA_DIR = Path("/var/lib/agent-api")
_KEYS = ("jwt_secret", "jwt_jwks_url", "jwt_public_key_file")
_REQUIRES = {
    "jwt_jwks_max_age_seconds": "jwt_jwks_url",
    "rate_limit_burst": "rate_limit_per_minute",
    "metrics_host": "metrics_port",
    "read_database_url": "database_url",
}
"""Settings that have no effect unless the other one is set."""


class ConfigError(Exception):
    """A setting is unusable. The message is one line that says what to do."""


def default_data_dir() -> Path:
    """Return the user's data folder on this platform.

    For root, and for a user without a home folder, as in a container, it is /var/lib/agent-api.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return _SYSTEM_DATA_DIR
    try:
        return platformdirs.user_data_path("agent-api")
    except RuntimeError:
        return _SYSTEM_DATA_DIR


def _setting(read: Callable[[str], Any], default: Any = None) -> Any:
    """Return the field of a setting. `read` converts its text, or raises ValueError."""
    return field(default=default, metadata={"read": read})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can set. For example, AGENT_API_PORT sets `port`."""

    database_url: str | None = _setting(values.database_url)
    read_database_url: str | None = _setting(values.database_url)
    data_dir: Path = field(default_factory=default_data_dir, metadata={"read": values.folder})
    host: str = _setting(str, "127.0.0.1")
    port: int = _setting(values.integer(1, 65535), 8000)
    root_path: str | None = _setting(values.root_path)
    workers: int = _setting(values.integer(1, 64), 1)
    jwt_secret: str | None = _setting(values.secret)
    jwt_jwks_url: str | None = _setting(values.url("https", "http"))
    jwt_jwks_max_age_seconds: int = _setting(values.integer(2, 86400), 300)
    jwt_public_key_file: Path | None = _setting(values.file)  # noqa: RUF009  # a field
    jwt_issuer: str | None = _setting(str)
    jwt_audience: str | None = _setting(str)
    trusted_proxies: tuple[str, ...] = _setting(values.networks, ())
    cors_origins: tuple[str, ...] = _setting(values.origins, ())
    max_body_bytes: int = _setting(values.integer(1024, 1 << 30), 1024 * 1024)
    client_timeout_seconds: int = _setting(values.integer(1, 3600), 30)
    keep_alive_seconds: int = _setting(values.integer(1, 3600), 75)
    grace_seconds: int = _setting(values.integer(1, 3600), 10)
    transient_event_seconds: int = _setting(values.integer(0, 31_536_000), 3600)
    max_streams: int = _setting(values.integer(1, 1_000_000), 10_000)
    max_streams_per_user: int = _setting(values.integer(1, 1_000_000), 100)
    pool_size: int = _setting(values.integer(1, 100), 10)
    statement_timeout_ms: int = _setting(values.integer(100, 3_600_000), 5000)
    prepared_statements: str = _setting(values.choice("auto", "off"), "auto")
    rate_limit_per_minute: int | None = _setting(values.integer(1, 1_000_000))
    rate_limit_burst: int | None = _setting(values.integer(1, 1_000_000))
    link_rate_limit_per_minute: int = _setting(values.integer(1, 1_000_000), 60)
    link_url: str | None = _setting(values.link_url)
    change_retention_days: int = _setting(values.integer(1, 3650), 30)
    log_level: str = _setting(values.choice("debug", "info", "warning", "error"), "info")
    log_format: str = _setting(values.choice("text", "json"), "json")
    log_probes: bool = _setting(values.switch, True)
    log_client_address: bool = _setting(values.switch, False)
    metrics_host: str = _setting(str, "127.0.0.1")
    metrics_port: int | None = _setting(values.integer(1, 65535))
    tracing: str = _setting(values.choice("off", "otlp"), "off")
    token: str | None = _setting(values.token)

    def __repr__(self) -> str:
        """Show no values, because URLs and secrets must not reach a log."""
        return "Settings(...)"

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        needs_key: bool = True,
        **overrides: Any,
    ) -> Self:
        """Return the settings of `environ`, by default the process environment.

        `overrides` are command-line options; one that is not None replaces the variable. A command
        that serves no user data passes `needs_key=False`.

        Raises ConfigError for an unknown variable, an unusable value, more than one key, a setting
        that has no effect without another, or a host that other machines can reach without a key.
        """
        chosen: dict[str, Any] = {"log_format": "text"} if sys.stderr.isatty() else {}
        chosen |= _read(os.environ if environ is None else environ, fields(cls))
        chosen |= {name: value for name, value in overrides.items() if value is not None}
        settings = cls(**chosen)
        settings._check_keys(needs_key, "--host" if overrides.get("host") else f"{PREFIX}HOST")
        for name, needed in _REQUIRES.items():
            if name in chosen and getattr(settings, needed) is None:
                raise ConfigError(f"{_variable(name)} requires {_variable(needed)}: set both")
        if settings.metrics_port == settings.port:
            raise ConfigError(
                f"{PREFIX}METRICS_PORT {settings.port} is the port of the API: choose another"
            )
        return settings

    def _check_keys(self, needs_key: bool, host: str) -> None:
        given = [_variable(key) for key in _KEYS if getattr(self, key) is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} exclude each other: set only one")
        if needs_key and not given and not is_loopback(self.host):
            raise ConfigError(
                f"{host} {self.host} is open to other machines and requires a key: "
                f"set {' or '.join(_variable(key) for key in _KEYS)}"
            )

    def export_options(self) -> None:
        """Set the variables of the command-line options, for the child processes."""
        for name in ("host", "port", "workers"):
            os.environ[_variable(name)] = str(getattr(self, name))

    @property
    def can_sign(self) -> bool:
        """Tell whether this machine has the secret that signs tokens."""
        return self.jwt_jwks_url is None and self.jwt_public_key_file is None

    @property
    def has_key(self) -> bool:
        """Tell whether a key is configured. Otherwise the development secret applies."""
        return any(getattr(self, key) is not None for key in _KEYS)


def usable_environment() -> tuple[dict[str, str], dict[str, str]]:
    """Return the process environment without unusable settings, and what is wrong with those."""
    usable, refused = dict(os.environ), {}
    for variable, text in sorted(os.environ.items()):
        try:
            _read({variable: text}, fields(Settings))
        except ConfigError as error:
            refused[variable] = str(error)
            del usable[variable]
    return usable, refused


def time_zone() -> str | None:
    """Return the time zone that the process environment names, if any."""
    return os.environ.get("TZ") or None


def log_format(arguments: Sequence[str]) -> str:
    """Return the format of the messages of a command, even if other settings are unusable.

    By default only servers write JSON, unless a person is watching. Other commands write text.
    """
    is_server = arguments[:1] in (["serve"], ["mock"])
    given = os.environ.get(f"{PREFIX}LOG_FORMAT", "").lower()
    if given in ("text", "json"):
        return given
    return "json" if is_server and not sys.stderr.isatty() else "text"


def export_metrics_folder(folder: str) -> None:
    """Set the folder in which prometheus_client shares metrics between processes."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder


def exported_metrics_folder() -> Path:
    """Return the folder of `export_metrics_folder`, also in a child process."""
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def _read(environ: Mapping[str, str], settings: Iterable[Field[Any]]) -> dict[str, Any]:
    known = {_variable(setting.name): setting for setting in settings}
    found: dict[str, Any] = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or is_service_link(variable, text):
            continue
        if variable not in known:
            raise ConfigError(f"Unknown setting {variable}. Known settings: {', '.join(known)}")
        if not text.strip():
            raise ConfigError(f"{variable} is empty: give it a value or unset it")
        try:
            found[known[variable].name] = known[variable].metadata["read"](text)
        except ValueError as error:
            raise ConfigError(f"{variable} {error}") from error
    return found


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`, a name or an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
