"""The files of deploy/ for Prometheus and Grafana, and a Prometheus that uses them."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.processes import wait_until
from tests.promtool import program
from tests.servers import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana" / "agent-api.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def query(expression: str) -> str:
    """Return a query of the dashboard with the variables as Grafana sets them."""
    values = {"$__rate_interval": "1m", "$job": "agent-api", "$instance": ".*"}
    for variable, value in values.items():
        expression = expression.replace(variable, value)
    return expression


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self._url}/-/ready", verify=False).status_code == 200
        except httpx.ConnectError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self._url}/api/v1/{path}", params=parameters, verify=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def values(self, expression: str) -> list[str]:
        """Return the current value of each series of a query."""
        result = self.get("query", query=expression)["result"]
        return [series["value"][1] for series in result]


@contextmanager
def start_prometheus(folder: Path, *targets: str) -> Iterator[Prometheus]:
    """Start Prometheus with our files and these targets; it scrapes them every second."""
    for source in PROMETHEUS.glob("*.yml"):
        text = source.read_text().replace("_interval: 30s", "_interval: 1s")
        (folder / source.name).write_text(text)
    (folder / "targets.yml").write_text(yaml.safe_dump([{"targets": list(targets)}]))
    port = free_port()
    command = [program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        prometheus = Prometheus(port)
        wait_until(lambda: process.poll() is not None or prometheus.is_ready())
        assert process.poll() is None, (folder / "log").read_text()
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)
