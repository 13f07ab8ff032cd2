"""Serves /metrics with prometheus_client's server: the sums of what all processes counted."""

import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import ThreadingWSGIServer, choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from agent_api.server.process_usage import UsageCollector


class LiveCollector(MultiProcessCollector):
    """Adds up the counts of all processes, and the gauges of those that are alive."""

    def __init__(self, registry: CollectorRegistry, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        super().__init__(registry, folder)  # type: ignore[no-untyped-call]  # it has no types

    def collect(self) -> Iterable[Metric]:
        """Return all metrics."""
        with self._lock:  # two scrapes must not delete the same file
            for pid in self.process_ids():
                if not _is_alive(pid):
                    mark_process_dead(pid, self._folder)  # type: ignore[no-untyped-call]  # no types
            # A file is empty while a process creates it, and prometheus_client cannot read it then.
            files = [str(path) for path in Path(self._folder).glob("*.db") if path.stat().st_size]
            return self.merge(files)  # type: ignore[no-untyped-call,no-any-return]  # no types

    def process_ids(self) -> set[int]:
        """Return the processes that count and, until the next scrape, those that have ended."""
        paths = Path(self._folder).glob("gauge_live*.db")
        return {int(path.stem.rpartition("_")[2]) for path in paths}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:  # no such process, or the id now belongs to another user's process
        return False
    return True


def _wsgi_app(registry: CollectorRegistry) -> WSGIApplication:
    """Return prometheus_client's application, but only for GET and HEAD of /metrics."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]

        def respond(status: str, body: bytes, *headers: tuple[str, str]) -> Iterable[bytes]:
            common = [("Server", "agent-api"), ("Content-Length", str(len(body)))]
            start_response(status, [*headers, *common])
            return [] if method == "HEAD" else [body]

        if environ["PATH_INFO"] != "/metrics":
            return respond("404 Not Found", b"")
        if method not in ("GET", "HEAD"):
            return respond("405 Method Not Allowed", b"", ("Allow", "GET, HEAD"))
        encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        return respond("200 OK", encode(registry), ("Content-Type", content_type))

    return app


class MetricsHandler(WSGIRequestHandler):
    """Closes a silent connection, hides versions and logs nothing."""

    timeout = 10
    server_version, sys_version = "agent-api", ""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
        """Log nothing."""


class MetricsServer(ThreadingWSGIServer):
    """Serves the counts in `folder` on one address; raises OSError if it cannot listen."""

    allow_reuse_port = False  # two servers on one port would share the scrapes

    def __init__(self, family: int, address: Any, folder: str) -> None:
        self.address_family = socket.AddressFamily(family)
        super().__init__(address, MetricsHandler)
        registry = CollectorRegistry()
        counts = LiveCollector(registry, folder)
        registry.register(UsageCollector(counts.process_ids))
        self.set_app(_wsgi_app(registry))

    def server_bind(self) -> None:
        """Bind without asking DNS for the name of the host, as HTTPServer does."""
        TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)
        self.setup_environ()

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Ignore clients that time out or leave."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self.serve_forever, name="metrics", daemon=True)
        with self:
            thread.start()
            try:
                yield
            finally:
                self.shutdown()
                thread.join()
