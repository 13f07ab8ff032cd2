"""What a client may send on a connection: the callbacks of uvicorn's HTTP/1.1 parser."""

import asyncio
from typing import Any

import httptools

from agent_api.http.problems import BadRequest, HeadersTooLarge, Problem, Unavailable
from agent_api.server.connection_limit import connection_limit
from agent_api.server.http import lean, request_head
from agent_api.server.http.connection import Connection, State

MAX_PIPELINED = 16
"""Requests that can wait for the response to one before them; few clients ever send two."""


class Refused(Exception):
    """Raised in a callback to stop the parser, which then calls send_400_response."""


class HttpProtocol(Connection):
    """Refuses connections beyond the limit, and requests that are too large or not valid HTTP."""

    __slots__ = ("_last_line", "_overhead_bytes", "_problem")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._problem: Problem | None = None  # the reason for Refused
        self._overhead_bytes = 0  # since the last complete head or piece of a body
        self._last_line: request_head.LastLine | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows asyncio's type too
        """Refuse a connection if there might soon be no file descriptor for another one."""
        super().connection_made(transport)
        if connection_limit().is_exceeded(len(self.connections)):
            self._refuse(Unavailable("The server has too many connections. Try again."))
            self.transport.close()  # no lingering: it would keep the descriptor

    def data_received(self, data: bytes) -> None:
        """Limit the size of heads, trailers and chunk extensions; httptools does not."""
        if self._state in (State.LAST_RESPONSE, State.LINGERING):
            self._body_bytes += len(data)
            return
        if self._state in (State.CONNECTED, State.KEEP_ALIVE):
            data = data.lstrip(b"\r\n")  # RFC 9112 section 2.2 allows blank lines here
            if not data:
                return
        self._overhead_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._state is State.HEAD:
            self._last_line = self._last_line or request_head.LastLine()
            self._last_line.add(data)
        elif self._state is State.KEEP_ALIVE and self._is_idle():
            # The body ended after its response, and uvicorn stopped the timer that it started then.
            self._restart_keep_alive_timer()
        if self._overhead_bytes > request_head.MAX_BYTES:
            self._refuse_overhead()

    def _parse(self, data: bytes) -> None:
        """Feed the parser, and ignore offers to upgrade the protocol (RFC 9110 section 7.8).

        httptools takes what follows an offer for the other protocol, even if it is the body of the
        request. Therefore, a new parser reads such a head again, without the offer.
        """
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return
            except httptools.HttpParserUpgrade as offer:
                (end_of_head,) = offer.args
                data = self._head_without_offer() + data[end_of_head:]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn

    def _head_without_offer(self) -> bytes:
        return request_head.without_upgrade(
            self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers
        )

    def _refuse_overhead(self) -> None:
        if self._state is State.HEAD:
            size = self._overhead_bytes
            self._refuse(request_head.too_large(self.headers, size, self._last_line))
        elif self._state in (State.BODY, State.UNWANTED_BODY):
            self._refuse(HeadersTooLarge(request_head.MAX_BYTES))

    def on_message_begin(self) -> None:
        """Begin a head, which may have come together with the end of the previous request."""
        super().on_message_begin()
        self._state = State.HEAD

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header and drop a trailer (RFC 9110 section 6.5.1)."""
        if self._state is State.HEAD:
            super().on_header(name, value)
        elif (problem := request_head.trailer_problem(name)) is not None:
            self._problem = problem
            raise Refused

    def on_headers_complete(self) -> None:
        """Check the head and begin the body, also if it is empty."""
        is_connect = self.parser.get_method() == b"CONNECT"
        if self.parser.should_upgrade() and not is_connect:  # _parse reads the head again
            return
        self._problem = request_head.head_problem(
            self.parser.get_http_version(), self.url, self.headers, is_connect=is_connect
        )
        if self._problem is None and len(self.pipeline) == MAX_PIPELINED:
            self._problem = BadRequest("Wait for the responses before sending more requests.")
        if self._problem is not None:
            raise Refused
        self._previous_cycle = self.cycle
        super().on_headers_complete()
        self.cycle.message_event = lean.Event()  # its task has not run yet
        self._join_writes()
        self._state = State.BODY  # not earlier: uvicorn creates the cycle in super()
        self._overhead_bytes = 0
        self._last_line = None
        # A client that sent "Expect: 100-continue" and gets a response instead may leave the body
        # out, so the next bytes can be body or head (RFC 9110 section 10.1.1).
        if self._server_is_stopping or self.expect_100_continue:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Count body bytes even if the body is dropped."""
        self._overhead_bytes = 0
        self._body_bytes += len(body)
        if (
            self.expect_100_continue
            and not self._server_is_stopping
            and not self.cycle.response_started
        ):
            # The body came after all: set what uvicorn sets for a new request.
            is_http_1_1 = self.cycle.scope["http_version"] != "1.0"
            self.cycle.keep_alive = is_http_1_1 and self.parser.should_keep_alive()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        if self._state is State.HEAD:  # the end of a head that _parse reads again
            return
        super().on_message_complete()
        self._state = State.KEEP_ALIVE
        self.headers = []  # the scope has them; a stream drops them
        self._overhead_bytes = self._body_bytes = 0
        self._watch.restart()
        if (
            self._server_is_stopping and self._is_idle()
        ):  # the response was complete before the body
            self._schedule_idle_close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read, or a callback has refused."""
        self._refuse(self._problem or BadRequest(f"{msg} The server only supports HTTP/1.1."))
