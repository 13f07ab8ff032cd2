"""A proxy for PostgreSQL that can stop passing on data without closing connections."""

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

    def speak(self) -> None:
        """Pass on the data kept so far, and all later data."""
        self._silent_after_login = False
        self._speaks.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                self._open += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _connect(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, self._port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self._host}/.s.PGSQL.{self._port}")
        return server

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # one side closed its connection
            while data := source.recv(65536):
                self._speaks.wait()
                target.sendall(data)
                if self._silent_after_login and data.endswith(READY):
                    self._speaks.clear()
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
