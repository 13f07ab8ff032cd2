"""The variables that Kubernetes sets for Services named agent-api or agent-api-... are ignored."""

from pathlib import Path

import pytest

from tests.commands import starting
from tests.servers import wait_until_ready
from tests.test_config import load, refusal

LINKS = {
    "": "10.0.0.1",
    "METRICS_": "fd00::1",  # of a Service agent-api-metrics
}


@pytest.mark.parametrize(("service", "address"), LINKS.items())
@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_variables_of_kubernetes_services_are_ignored(
    service: str, address: str, protocol: str
) -> None:
    url = f"{protocol}://[{address}]:8000" if ":" in address else f"{protocol}://{address}:8000"
    link = f"{service}PORT_8000_{protocol.upper()}"
    variables = {
        f"{service}SERVICE_HOST": address,
        f"{service}SERVICE_PORT": "8000",
        f"{service}SERVICE_PORT_HTTP_API": "8000",
        f"{service}PORT": url,
        link: url,
        f"{link}_PROTO": protocol,
        f"{link}_PORT": "8000",
        f"{link}_ADDR": address,
    }

    settings = load(**variables)

    assert (settings.port, settings.metrics_port) == (8000, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("service_host", "api.example.org"),
        ("service_port", "http"),
        ("service_port", "8000\n"),
        ("port", "tcp://10.0.0.1"),
        ("port", "tcp://api.example.org:8000"),
        ("metrics_port", "http://10.0.0.1:8000"),
        ("port_8000_tcp", "8000"),
        ("port_8000_quic", "quic://10.0.0.1:8000"),
        ("port_8000_tcp_proto", "TCP"),
        ("port_8000_tcp_addr", "tcp://10.0.0.1:8000"),
    ],
)
def test_variables_that_only_resemble_those_of_kubernetes_are_refused(name: str, text: str) -> None:
    assert f"AGENT_API_{name.upper()}" in refusal(**{name: text})


@pytest.mark.process
def test_server_with_workers_starts_beside_kubernetes_services(
    database_url: str, tmp_path: Path
) -> None:
    links = {"port": "tcp://10.0.0.1:8000", "metrics_port": "tcp://10.0.0.2:9464"}
    base = {"database_url": database_url, "data_dir": str(tmp_path)}
    with starting(tmp_path, ["--workers", "2"], **base, **links) as server:
        wait_until_ready(server)
