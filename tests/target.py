"""A server that trusts an identity provider, and requests to it with forged tokens."""

import http.client
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import httpx

from tests.attacks import ATTACKS
from tests.contract import assert_problem
from tests.forging import Headers, Provider, bearer
from tests.servers import Server
from tests.tokens import SETTINGS

Request = tuple[str, str, str]
"""Method, path and body."""


def send_each(
    port: int, requests: Sequence[Request], headers: Headers
) -> Iterator[tuple[str, httpx.Response]]:
    """Send each request with `headers`. http.client is quick and passes any header on."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for method, path, body in requests:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        if answer.getheader("content-type", "").startswith("text/event-stream"):
            connection.close()  # it has no end; the next request opens a connection
            content = b""
        else:
            content = answer.read()
        yield (
            f"{method} {path}",
            httpx.Response(answer.status, headers=answer.getheaders(), content=content),
        )
    connection.close()


@dataclass
class Target:
    """A server that trusts `provider`. The socket `ears` listens at the attacker's URL."""

    provider: Provider
    server: Server
    client: httpx.Client
    ears: socket.socket

    def send_each(
        self, requests: Sequence[Request], headers: Headers
    ) -> Iterator[tuple[str, httpx.Response]]:
        yield from send_each(self.client.base_url.port or 80, requests, headers)

    def failures(self, attacks: Iterable[str], requests: Sequence[Request]) -> list[str]:
        """Return which attacks get another answer than a 401, and from which operation."""
        found = []
        for attack in attacks:
            headers = ATTACKS[attack](self.provider)
            for request, response in self.send_each(requests, headers):
                try:
                    assert_problem(response, 401)
                    assert response.headers["www-authenticate"].startswith("Bearer")
                except AssertionError as error:
                    found.append(f"{attack}: {request}: {error}")
        return found

    def ask(self, headers: Headers) -> httpx.Response:
        return self.client.get(SETTINGS, headers=headers)

    def user_of(self, token: str | bytes) -> str:
        response = self.ask(bearer(token))
        assert response.status_code == 200, response.text
        user: str = response.json()["user_id"]
        return user
