"""A proxy that cuts connections at any byte, as networks and killed processes do."""

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit


@contextmanager
def cutting(url: str, *, at_most: int) -> Iterator[str]:
    """Yield the URL of a proxy that cuts each connection before it has passed `at_most` bytes."""
    target = urlsplit(url)
    random_bytes = random.Random(0)

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            left = random_bytes.randrange(at_most)
            with socket.create_connection((target.hostname or "", target.port or 0)) as server:
                sending = threading.Thread(target=_send, args=(self.request, server), daemon=True)
                sending.start()
                with suppress(OSError):
                    while left and (data := server.recv(left)):
                        self.request.sendall(data)
                        left -= len(data)
                for connection in (self.request, server):
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
                sending.join()

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()
        thread.join()


def _send(client: socket.socket, server: socket.socket) -> None:
    """Pass on what the client sends."""
    with suppress(OSError):
        while data := client.recv(65536):
            server.sendall(data)
