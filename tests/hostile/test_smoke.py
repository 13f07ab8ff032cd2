"""The cheapest test of a slow client and of a shutdown, for `make test`.

The other tests of both start many servers, and run in `make test-all`.
"""

import signal
import time
from pathlib import Path

import httpx

from tests.calls import new_conversation
from tests.hostile.load import is_refused, post
from tests.processes import wait_until
from tests.servers import start_server
from tests.wire import Wire, head


def test_incomplete_body_is_a_408_after_the_timeout(database_url: str, tmp_path: Path) -> None:
    lines = (b"Content-Type: application/json", b"Content-Length: 100")
    with (
        start_server(database_url, tmp_path, client_timeout_seconds="2") as server,
        Wire(server) as wire,
    ):
        wire.send(head("POST /conversations", *lines) + b'{"title"')
        answer = wire.receive("POST")

    assert answer.problem(408)["type"] == "/problems/request-timeout"
    assert answer.headers["connection"] == "close"


def test_requests_being_received_at_sigterm_are_answered(database_url: str, tmp_path: Path) -> None:
    with start_server(database_url, tmp_path) as server, server.client("drain") as client:
        conversation = new_conversation(client)["id"]
        request = post("drain", conversation, "in two parts")
        middle = len(request) - 5
        with Wire(server) as sending_body, Wire(server) as sending_head:
            sending_body.send(request[:middle])
            sending_head.send(request[:20])
            # The server reads in the order in which its connections were made.
            assert httpx.get(f"{server.url}/healthz", verify=False).status_code == 200

            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(server))
            time.sleep(0.5)
            sending_body.send(request[middle:])
            sending_head.send(request[20:])
            answers = [wire.receive("POST") for wire in (sending_body, sending_head)]

        assert [answer.status for answer in answers] == [201, 201]
        assert [answer.headers["connection"] for answer in answers] == ["close", "close"]
        assert server.process.wait(60) == 0
