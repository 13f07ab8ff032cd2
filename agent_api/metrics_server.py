"""Serves /metrics: adds up what the processes of this server have counted in their files."""

import logging
import os
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from agent_api import __version__
from agent_api.config import ConfigError

logger = logging.getLogger(__name__)


class Counted(Collector):
    """The sum of the files of all processes, those that are gone included."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._lock = threading.Lock()

    def collect(self) -> Iterable[Metric]:
        """Return all metrics; a process that died has none of its gauges left, only its counts."""
        with self._lock:
            self._forget_the_dead()
            # One that a process is about to make is still empty, which the reader cannot take.
            files = [str(path) for path in self._folder.glob("*.db") if path.stat().st_size]
            merge = MultiProcessCollector.merge
            metrics = list(merge(files))  # type: ignore[no-untyped-call]  # it has no types
        build = GaugeMetricFamily("agent_api_build_info", "The version.", labels=["version"])
        build.add_metric([__version__], 1)
        return [*metrics, build]

    def _forget_the_dead(self) -> None:
        for path in self._folder.glob("gauge_live*.db"):
            pid = int(re.findall(r"\d+", path.name)[-1])
            try:
                os.kill(pid, 0)
            except OSError:  # no such process, or somebody else's
                mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]  # no types


class MetricsHandler(BaseHTTPRequestHandler):
    """Answers GET /metrics, and nothing else."""

    timeout = 10  # seconds for a scraper that says nothing

    def __init__(self, *args: Any, registry: CollectorRegistry) -> None:
        self._registry = registry
        super().__init__(*args)

    def do_GET(self) -> None:
        """Send the metrics in the format that the scraper prefers."""
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        body = encode(self._registry)
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Return what the header `Server` says: no versions."""
        return "agent-api"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
        """Log on a level that is usually off."""
        logger.debug("metrics", extra={"said": format % args})


class MetricsServer(ThreadingHTTPServer):
    """The port of the metrics."""

    daemon_threads = True
    allow_reuse_port = False  # two servers on one port would share the scrapes

    def server_bind(self) -> None:
        """Bind, without the question to the name server that HTTPServer asks."""
        TCPServer.server_bind(self)


@contextmanager
def running(host: str, port: int, folder: str) -> Iterator[None]:
    """Serve what is counted in `folder` until the block ends; raises ConfigError."""
    registry = CollectorRegistry()
    registry.register(Counted(folder))
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server_class = type("MetricsServer", (MetricsServer,), {"address_family": family})
        server = server_class(address, partial(MetricsHandler, registry=registry))
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that is no host name
        reason = getattr(error, "strerror", None) or "it is no host name"
        raise ConfigError(
            f"Cannot serve metrics on {host} port {port}: {reason}. "
            "Choose another with AGENT_API_METRICS_HOST and AGENT_API_METRICS_PORT."
        ) from error
    with server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
