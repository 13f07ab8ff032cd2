"""Serves /metrics: adds up what the processes of this server have counted in their files."""

import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
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
from agent_api.server import address

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
    """Answers GET and HEAD of /metrics, and nothing else."""

    timeout = 10  # seconds for a scraper that says nothing

    def __init__(self, *args: Any, registry: CollectorRegistry) -> None:
        self._registry = registry
        super().__init__(*args)

    def do_GET(self) -> None:
        """Send the metrics in the format that the scraper prefers."""
        if self.path.partition("?")[0] != "/metrics":
            self._say(HTTPStatus.NOT_FOUND)
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        self._answer(HTTPStatus.OK, content_type, encode(self._registry))

    do_HEAD = do_GET  # noqa: N815  # its name

    def send_error(self, code: int, *_: str | None, **__: str | None) -> None:
        """Answer a method that there is not, which is its 501, by a 405; the rest in plain text."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._say(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", "GET, HEAD"))
        else:
            self._say(HTTPStatus(code))

    def _say(self, status: HTTPStatus, *headers: tuple[str, str]) -> None:
        self.close_connection = True  # a body may follow, which nobody reads
        self._answer(status, "text/plain", f"{status.phrase}\n".encode(), *headers)

    def _answer(
        self, status: HTTPStatus, content_type: str, body: bytes, *headers: tuple[str, str]
    ) -> None:
        self.send_response(status)
        length = str(len(body))
        for name, value in (("Content-Type", content_type), ("Content-Length", length), *headers):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
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

    def open_door(family: int, at: Any) -> MetricsServer:
        server_class = type("MetricsServer", (MetricsServer,), {"address_family": family})
        server: MetricsServer = server_class(at, partial(MetricsHandler, registry=registry))
        return server

    options = "AGENT_API_METRICS_HOST and AGENT_API_METRICS_PORT"
    server = address.listen(open_door, host, port, purpose="serve metrics", options=options)
    with server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
