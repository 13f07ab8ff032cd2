"""A load balancer that probes its servers and sends requests only to those that are ready."""

import http.client
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from tests.commands import status
from tests.processes import wait_until
from tests.servers import Server

PROBE_SECONDS = 0.1
NOT_FORWARDED = {"connection", "content-length", "keep-alive", "transfer-encoding"}


class LoadBalancer:
    """Serves on a local port inside a `with` block.

    One failed probe removes a server, and one successful probe brings it back. If no server is
    ready, a request gets a 503.
    """

    def __init__(self, probe_path: str) -> None:
        self.probe_path = probe_path
        self._servers: list[str] = []
        self._ready: list[str] = []
        self._open_requests: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._threads = [
            threading.Thread(target=self._http.serve_forever, args=(0.05,)),
            threading.Thread(target=self._probe),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._http.shutdown()
        for thread in self._threads:
            thread.join()
        self._http.server_close()

    def use(self, *servers: Server) -> None:
        """Replace the list of servers, and wait until exactly these get requests."""
        self._servers = [server.url for server in servers]
        wait_until(lambda: set(self._ready) == set(self._servers))
        wait_until(lambda: set(+self._open_requests) <= set(self._servers))

    def begin_request(self) -> str | None:
        """Return the ready server with the fewest open requests."""
        with self._lock:
            url = min(self._ready, key=self._open_requests.__getitem__, default=None)
            if url is not None:
                self._open_requests[url] += 1
            return url

    def end_request(self, url: str) -> None:
        with self._lock:
            self._open_requests[url] -= 1

    def _probe(self) -> None:
        while not self._stopped.wait(PROBE_SECONDS):
            ready = [url for url in self._servers if status(url + self.probe_path) == 200]
            with self._lock:
                self._ready = ready


def _handler(balancer: LoadBalancer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = balancer.begin_request()
            if url is None:
                self._answer(503, [], b"no server is ready")
                return
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                self._answer(response.status, response.getheaders(), response.read())
            finally:
                connection.close()
                balancer.end_request(url)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 (names of http.server)

        def _answer(self, code: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(code)
            for name, value in headers:
                if name.lower() not in NOT_FORWARDED:
                    self.send_header(name, value)
            if code != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    return Handler
