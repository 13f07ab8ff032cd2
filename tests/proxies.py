"""A reverse proxy that publishes a server below a path, with or without removing that path."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.servers import Server

_OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "host"}


@contextmanager
def proxy(
    server: Server, root_path: str, *, strips: bool, headers: dict[str, str] | None = None
) -> Iterator[str]:
    """Yield the origin of a proxy that answers below `root_path` only.

    `strips`: remove the path, as `location /api/ { proxy_pass http://server/; }` does in nginx.
    `headers`: what the proxy adds to each request.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            if f"{self.path}/".removeprefix(f"{root_path}/") == f"{self.path}/":
                self.send_error(404, "outside the path")
                return
            path = self.path.removeprefix(root_path) if strips else self.path
            length = int(self.headers.get("Content-Length", 0))
            asked = {k: v for k, v in self.headers.items() if k.lower() not in _OF_THE_CONNECTION}
            url = f"{server.url}/{path.removeprefix('/')}"
            all_headers, body = asked | (headers or {}), self.rfile.read(length)
            with (
                httpx.Client(verify=False, headers=all_headers) as client,
                client.stream(self.command, url, content=body) as answer,
            ):
                content = b"".join(answer.iter_raw())  # still compressed
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in _OF_THE_CONNECTION | {"content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = forward  # noqa: N815  # their names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_address[1]}"
        finally:
            listener.shutdown()
            thread.join()
