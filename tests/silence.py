"""A proxy for PostgreSQL that can stop passing on data, or close connections."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

import psycopg2
from sqlalchemy import make_url

READY = b"Z\x00\x00\x00\x05I"
"""The end of PostgreSQL's response to a login: ready for a statement."""


class Relay:
    """A local port that passes connections on to the PostgreSQL of `url`."""

    def __init__(self, url: str) -> None:
        with contextlib.closing(psycopg2.connect(url)) as direct:
            self._host, self._port = direct.info.host, direct.info.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._speaks = threading.Event()
        self._silent_after_login = False
        self._hangs_up = self._hangs_up_after_login = False
        self.hung_up = 0
        """The number of connections that were closed at once."""
        self.last_responses: list[bytes] = []
        """The last data that PostgreSQL sent on each connection."""
        self._open: list[socket.socket] = [self._listener]
        port = self._listener.getsockname()[1]
        given = make_url(url)
        query = {k: v for k, v in given.query.items() if k not in ("host", "port")}
        # TLS would hide the end of the login.
        mine = given.set(host="127.0.0.1", port=port, query=query | {"sslmode": "disable"})
        self.url = mine.render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        self._speaks.set()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._speaks.set()
        for each in self._open:
            with contextlib.suppress(OSError):  # already closed
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def fall_silent(self) -> None:
        """Stop passing on data, but keep receiving it."""
        self._speaks.clear()

    def fall_silent_after_login(self) -> None:
        """Stop passing on data after the login of the next connection."""
        self._silent_after_login = True

    def hang_up(self) -> None:
        """Close all connections, and each new one at once, like a server that shuts down."""
        self._hangs_up = True
        for each in self._open[1:]:
            with contextlib.suppress(OSError):  # already closed
                each.shutdown(socket.SHUT_RDWR)

    def hang_up_after_login(self) -> None:
        """Close all connections, and each new one after its login, like a failing pooler."""
        self.hang_up()
        self._hangs_up = False
        self._hangs_up_after_login = True

    def speak(self) -> None:
        """Pass on the data kept so far, and all later data."""
        self._silent_after_login = False
        self._hangs_up = self._hangs_up_after_login = False
        self._speaks.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                if self._hangs_up:
                    self.hung_up += 1
                    client.close()
                    continue
                server = self._connect()
                self._open += [client, server]
                self.last_responses.append(b"")
                number = len(self.last_responses) - 1
                for way in ((client, server, None), (server, client, number)):
                    threading.Thread(target=self._pass_on, args=way, daemon=True).start()

    def _connect(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, self._port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self._host}/.s.PGSQL.{self._port}")
        return server

    def _pass_on(self, source: socket.socket, target: socket.socket, number: int | None) -> None:
        with contextlib.suppress(OSError):  # one side closed its connection
            while data := source.recv(65536):
                self._speaks.wait()
                if number is not None:
                    self.last_responses[number] = data
                target.sendall(data)
                if self._hangs_up_after_login and data.endswith(READY):
                    break
                if self._silent_after_login and data.endswith(READY):
                    self._speaks.clear()
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
