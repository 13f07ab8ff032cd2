"""Which values each setting accepts and refuses."""

from pathlib import Path
from typing import Any

import pytest

from agent_api.settings import ConfigError, Settings
from tests.servers import (
    SECRET,
)

ROOT = Path(__file__).parents[1]
GOOD: list[tuple[str, str, Any]] = [
    ("database_url", "postgresql://localhost/agent", "postgresql://localhost/agent"),
    ("database_url", "postgres://localhost/agent", "postgres://localhost/agent"),
    ("data_dir", "/srv/agent", Path("/srv/agent")),
    ("data_dir", "~/agent", Path.home() / "agent"),
    ("host", "127.0.0.1", "127.0.0.1"),
    ("host", "localhost", "localhost"),
    ("host", "::1", "::1"),
    ("port", "1", 1),
    ("port", "65535", 65535),
    ("root_path", "/api", "/api"),
    ("root_path", "/tenants/acme.eu/~api-2_0", "/tenants/acme.eu/~api-2_0"),
    ("workers", "1", 1),
    ("workers", "64", 64),
    ("jwt_secret", SECRET, SECRET),
    ("jwt_secret", "é" * 16, "é" * 16),
    ("jwt_jwks_url", "https://id.example.org/jwks", "https://id.example.org/jwks"),
    ("jwt_jwks_url", "http://127.0.0.1:9000/jwks", "http://127.0.0.1:9000/jwks"),
    ("jwt_public_key_file", __file__, Path(__file__)),
    ("jwt_issuer", "https://id.example.org/", "https://id.example.org/"),
    ("jwt_audience", "agent-api", "agent-api"),
    ("cors_origins", "*", ("*",)),
    ("cors_origins", "https://a.example.org", ("https://a.example.org",)),
    (
        "cors_origins",
        "https://a.example.org/, http://b:80",
        ("https://a.example.org", "http://b"),
    ),
    ("cors_origins", "HTTPS://A.Example.org:443", ("https://a.example.org",)),
    ("cors_origins", "http://[::1]:3000", ("http://[::1]:3000",)),
    ("cors_origins", "https://XN--bcher-kva.example", ("https://xn--bcher-kva.example",)),
    ("max_body_bytes", "1024", 1024),
    ("max_body_bytes", "1073741824", 1 << 30),
    ("transient_event_seconds", "0", 0),
    ("transient_event_seconds", "31536000", 31_536_000),
    ("max_streams", "1", 1),
    ("max_streams_per_user", "1000000", 1_000_000),
    ("client_timeout_seconds", "1", 1),
    ("client_timeout_seconds", "3600", 3600),
    ("keep_alive_seconds", "3600", 3600),
    ("change_retention_days", "1", 1),
    ("change_retention_days", "3650", 3650),
    ("grace_seconds", "1", 1),
    ("grace_seconds", "3600", 3600),
    ("pool_size", "1", 1),
    ("pool_size", "100", 100),
    ("prepared_statements", "off", "off"),
    ("statement_timeout_ms", "100", 100),
    ("statement_timeout_ms", "3600000", 3_600_000),
    ("rate_limit_per_minute", "1", 1),
    ("rate_limit_per_minute", "1000000", 1_000_000),
    ("link_rate_limit_per_minute", "1", 1),
    ("link_url", "https://chat.example.org/s/", "https://chat.example.org/s/"),
    ("link_url", "http://localhost/?s=", "http://localhost/?s="),
    ("link_url", "https://chat.example.org/#s=", "https://chat.example.org/#s="),
    ("log_level", "debug", "debug"),
    ("log_level", "WARNING", "warning"),
    ("log_format", "text", "text"),
    ("log_format", "JSON", "json"),
    ("log_probes", "off", False),
    ("log_client_address", "ON", True),
    (
        "trusted_proxies",
        "10.0.0.0/8, 192.0.2.1,fd00::/8",
        ("10.0.0.0/8", "192.0.2.1/32", "fd00::/8"),
    ),
    ("metrics_port", "9464", 9464),
    ("tracing", "off", "off"),
    ("tracing", "OTLP", "otlp"),
    ("token", "a.b.c", "a.b.c"),
]
BAD = [
    ("database_url", "agent"),
    ("database_url", "mysql://localhost/agent"),
    ("database_url", "postgresql://localhost:port/agent"),
    ("read_database_url", "postgresql://localhost/agent"),  # without the URL of the primary
    ("data_dir", "agent"),
    ("data_dir", "~nobody-has-this-name/agent"),
    ("port", "0"),
    ("port", "65536"),
    ("port", "-1"),
    ("port", "http"),
    ("port", "8_000"),
    ("port", "٨٠٠٠"),
    ("port", "8" * 5000),
    ("root_path", "/"),
    ("root_path", "api"),
    ("root_path", "/api/"),
    ("root_path", "//api"),
    ("root_path", "/a/../b"),
    ("root_path", "/api?query"),
    ("root_path", "/a%2Fb"),
    ("root_path", "/é"),
    ("root_path", "https://api.example.org"),
    ("workers", "0"),
    ("workers", "65"),
    ("workers", "auto"),
    ("jwt_secret", "x" * 31),
    ("jwt_jwks_url", "id.example.org/jwks"),
    ("jwt_jwks_url", "file:///etc/jwks"),
    ("jwt_jwks_url", "https://"),
    ("jwt_jwks_url", "https://id.example.org:65536/jwks"),
    ("jwt_jwks_url", "https://id.example.org:0/jwks"),
    ("jwt_jwks_url", "https://id.example.org:port/jwks"),
    ("jwt_jwks_url", "https://[::1/jwks"),
    ("jwt_jwks_url", "https://id example.org/jwks"),
    ("jwt_jwks_url", "https://id.example.org/the jwks"),
    ("jwt_jwks_url", "https://id.example.org/jwks#keys"),
    ("jwt_jwks_max_age_seconds", "1"),
    ("jwt_jwks_max_age_seconds", "60"),  # without a URL
    ("jwt_public_key_file", "/there/is/no/such/file.pem"),
    ("jwt_public_key_file", "/"),
    ("cors_origins", "a.example.org"),
    ("cors_origins", "https://a.example.org/path"),
    ("cors_origins", "https://a.example.org?query"),
    ("cors_origins", "ftp://a.example.org"),
    ("cors_origins", "//a.example.org"),
    ("cors_origins", "null"),
    ("cors_origins", "https://a.example.org:65536"),
    ("cors_origins", "https://a.example.org:port"),
    ("cors_origins", "https://user@a.example.org"),
    ("cors_origins", "https://a.example.org https://b.example.org"),
    ("cors_origins", "https://*.example.org"),
    ("cors_origins", "https://[::1"),
    ("cors_origins", "*, https://a.example.org"),
    ("cors_origins", ","),
    ("cors_origins", "https://bücher.example"),
    ("max_body_bytes", "1023"),
    ("max_body_bytes", "10MB"),
    ("client_timeout_seconds", "0"),
    ("client_timeout_seconds", "3601"),
    ("keep_alive_seconds", "0"),
    ("change_retention_days", "0"),
    ("change_retention_days", "3651"),
    ("grace_seconds", "0"),
    ("grace_seconds", "10s"),
    ("pool_size", "0"),
    ("pool_size", "101"),
    ("prepared_statements", "on"),
    ("statement_timeout_ms", "99"),
    ("statement_timeout_ms", "5s"),
    ("rate_limit_per_minute", "0"),
    ("rate_limit_per_minute", "1000001"),
    ("rate_limit_per_minute", "60/minute"),
    ("rate_limit_burst", "0"),
    ("rate_limit_burst", "-5"),
    ("link_rate_limit_per_minute", "0"),
    ("link_rate_limit_per_minute", "1000001"),
    ("link_url", "/s/"),
    ("link_url", "https://chat.example.org"),
    ("link_url", "https://chat.example.org/s"),
    ("link_url", "javascript://chat.example.org/"),
    ("link_url", "https://chat.example.org/s /"),
    ("log_level", "verbose"),
    ("log_format", "xml"),
    ("log_probes", "no"),
    ("log_client_address", "1"),
    ("trusted_proxies", "*"),
    ("trusted_proxies", "10.0.0.1/8"),
    ("trusted_proxies", "10.0.0.0/8,"),
    ("trusted_proxies", "proxy.example.org"),
    ("metrics_host", "0.0.0.0"),  # without a port
    ("metrics_port", "0"),
    ("tracing", "on"),
    ("token", "two words"),
    ("token", "tökén"),
]
NAMES = sorted({name for name, _ in BAD} | {name for name, _, _ in GOOD})


def load(**settings: str) -> Settings:
    return Settings.load({f"AGENT_API_{name.upper()}": value for name, value in settings.items()})


def refusal(**settings: str) -> str:
    """Return the one-line message that refuses `settings`."""
    line = ""
    try:
        load(**settings)
    except ConfigError as error:
        line = str(error)
    assert line, f"{settings} are accepted"
    assert "\n" not in line
    return line


def test_every_setting_is_tried() -> None:
    assert sorted(Settings.__dataclass_fields__) == NAMES


def test_good_values_are_read() -> None:
    read = [(name, text, getattr(load(**{name: text}), name)) for name, text, _ in GOOD]

    assert read == GOOD


def test_bad_values_are_refused_by_name() -> None:
    refused = {(name, text): refusal(**{name: text}) for name, text in BAD}

    assert not {
        case: line
        for case, line in refused.items()
        if not line.startswith(f"AGENT_API_{case[0].upper()} ")
    }


def test_cors_origins_beyond_ascii_are_refused_with_what_to_write() -> None:
    line = refusal(cors_origins="https://a.example.org, https://bücher.example")
    assert "xn--" in line


def test_empty_values_are_refused_by_name() -> None:
    for name in NAMES:
        for text in ("", "  "):
            assert refusal(**{name: text}).startswith(f"AGENT_API_{name.upper()} is empty")


@pytest.mark.parametrize("name", ["colour", "ports", "jwt_secret_file", ""])
def test_unknown_setting_is_refused_by_name(name: str) -> None:
    assert refusal(**{name: "1"}).startswith(f"Unknown setting AGENT_API_{name.upper()}.")


def test_setting_in_lower_case_is_unknown() -> None:
    with pytest.raises(ConfigError, match="Unknown setting AGENT_API_port"):
        Settings.load({"AGENT_API_port": "8001"})


def test_variables_without_the_prefix_are_ignored() -> None:
    assert Settings.load({"PORT": "x", "AGENT": "x", "XAGENT_API_PORT": "x"}).port == 8000


@pytest.mark.parametrize(
    "two",
    [
        {"jwt_secret": SECRET, "jwt_jwks_url": "https://id.example.org/jwks"},
        {"jwt_secret": SECRET, "jwt_public_key_file": __file__},
        {"jwt_jwks_url": "https://id.example.org/jwks", "jwt_public_key_file": __file__},
    ],
    ids=" and ".join,
)
def test_two_sources_of_keys_are_refused(two: dict[str, str]) -> None:
    line = refusal(**two)
    assert all(f"AGENT_API_{name.upper()}" in line for name in two)


def test_burst_without_a_limit_is_refused() -> None:
    assert "AGENT_API_RATE_LIMIT_PER_MINUTE" in refusal(rate_limit_burst="5")
    assert load(rate_limit_burst="5", rate_limit_per_minute="60").rate_limit_burst == 5


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "api.example.org"])
def test_host_open_to_other_machines_needs_a_key(host: str) -> None:
    assert refusal(host=host).startswith(f"AGENT_API_HOST {host} is open to other machines")
    assert load(host=host, jwt_secret=SECRET).host == host


def test_metrics_host_is_accepted_with_a_port() -> None:
    assert load(metrics_host="0.0.0.0", metrics_port="9464").metrics_host == "0.0.0.0"


def test_refused_secret_and_url_are_not_repeated() -> None:
    assert "hunter2" not in refusal(jwt_secret="hunter2")
    assert "hunter2" not in refusal(database_url="mysql://agent:hunter2@localhost/agent")
    # Without a host, the password is in the place of the port.
    assert "hunter2" not in refusal(database_url="postgresql://agent:hunter2/agent")
    assert SECRET not in repr(load(jwt_secret=SECRET))
