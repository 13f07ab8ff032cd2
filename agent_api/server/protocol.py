"""HTTP/1.1 on a connection: uvicorn's, with limits for the client, and errors as problems."""

import asyncio
import enum
import logging
import time
import uuid
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from agent_api.http.problems import (
    MEDIA_TYPE,
    BadRequest,
    HeadersTooLarge,
    Problem,
    RequestTimeout,
    Unavailable,
)
from agent_api.http.request_context import BODY_OVERDUE
from agent_api.middleware.security_headers import OF_PROBLEMS
from agent_api.server import request_head
from agent_api.server.connection_limit import most_connections
from agent_api.server.timeouts import Pace, UnreadInput, unread

logger = logging.getLogger(__name__)

MAX_PIPELINED = 16
"""Requests that wait for the answer of one before them; hardly any client sends two."""

LINGER_SECONDS = 0.5
"""For which a server that stops waits for a request that may be on its way to it."""


class Refused(Exception):
    """Raised into the parser, which then reads no further."""


class Door(NamedTuple):
    """What an answer needs of the transport; `close` is ours, which lets the client finish."""

    write: Callable[[bytes], None]
    is_closing: Callable[[], bool]
    close: Callable[[], None]


class Step(enum.Enum):
    """What the client has to do next."""

    SEND_HEAD = enum.auto()
    SEND_BODY = enum.auto()
    READ = enum.auto()


class HttpProtocol(HttpToolsProtocol):
    """Ends a connection that goes on for too long, asks for too much, or does not speak HTTP."""

    _said_full_at: ClassVar[float | None] = None

    _in_head = True
    _head_bytes = 0
    _head_line: request_head.LastLine | None = None
    _aside_bytes = 0
    _cycle_before: RequestResponseCycle
    _fault: Problem | None = None
    _is_deaf = False
    _is_draining = False
    _is_leaving = False
    _keeps_with_body = False
    _unread_input: UnreadInput | None = None
    _messages = 0
    _body_bytes = 0
    _drains = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Refuse a connection for which there might soon be no file descriptor."""
        # The override is narrower than asyncio's as uvicorn's is: a server has no other transports.
        super().connection_made(transport)
        self._pace = Pace()
        if len(self.connections) > most_connections():
            self._say_full()
            self._refuse(Unavailable("The server has too many connections. Try again."))
            self.transport.close()  # at once, without the time that others get: it has a descriptor

    def data_received(self, data: bytes) -> None:
        """Count what comes while a head is incomplete, and refuse one that does not end."""
        if self._is_deaf:
            if self._unread_input is not None:
                self._unread_input.amount += len(data)
            return
        if self._in_head:
            if not self._head_bytes:  # empty lines in front of a request (RFC 9112 section 2.2)
                data = data.lstrip(b"\r\n")
                if not data:
                    return
            self._head_bytes += len(data)
        was_in_head, body_bytes = self._in_head, self._body_bytes
        super().data_received(data)
        if self._in_head and self._head_bytes:
            self._watch_head(data)
        if self._in_head or was_in_head or self._body_bytes != body_bytes:
            self._aside_bytes = 0
        else:
            self._watch_trailers(len(data))

    def _watch_head(self, data: bytes) -> None:
        """Refuse a head that does not end, by the line at which it goes too far."""
        if self._head_line is None:
            self._head_line = request_head.LastLine()
        self._head_line.add(data)
        size = self._head_bytes
        if size > request_head.MAX_BYTES and not self._is_closing():
            self._refuse(request_head.too_large(self.headers or [], size, self._head_line))

    def _watch_trailers(self, size: int) -> None:
        """Refuse trailers, and extensions of a chunk, that do not end; none of them is kept."""
        self._aside_bytes += size
        if self._aside_bytes > request_head.MAX_BYTES and not self._is_closing():
            self._refuse(HeadersTooLarge(request_head.MAX_BYTES))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header in; a trailer is no header, and dropped (RFC 9110 section 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)
        elif (fault := request_head.trailer_fault(name)) is not None:
            self._fault = fault
            raise Refused

    def on_message_begin(self) -> None:
        """Count at least one byte: it may have come with the end of the request before."""
        super().on_message_begin()
        self._head_bytes = self._head_bytes or 1

    def on_headers_complete(self) -> None:
        """Refuse a head that is not to be read on, and a request too many."""
        is_upgrade = self.parser.should_upgrade()
        self._fault = request_head.fault(
            self.parser.get_http_version(), self.url, self.headers, is_upgrade=is_upgrade
        )
        if self._fault is not None:
            raise Refused
        if len(self.pipeline) == MAX_PIPELINED:
            self._is_deaf = True
            self._answer_last()
            raise Refused
        self._cycle_before = self.cycle
        super().on_headers_complete()
        self._in_head = False  # only now: where uvicorn cannot read the path, it is still the head
        if any(name in request_head.FRAMING for name, _ in self.headers):
            self._give_door()
        if is_upgrade:
            self.cycle.keep_alive = False
            self._is_deaf = True
        if self._is_draining:
            self.cycle.keep_alive = False
        # Who waits for "100 Continue" and is answered instead may send the body or not: what comes
        # next must not be taken for it (RFC 9110 section 10.1.1).
        self._keeps_with_body = self.expect_100_continue and self.cycle.keep_alive
        if self.expect_100_continue:
            self.cycle.keep_alive = False

    def _give_door(self) -> None:
        door = Door(self.transport.write, self._is_closing, self._close_gently)
        self.cycle.transport = door  # type: ignore[assignment]  # it asks for no more

    def _is_closing(self) -> bool:
        """Tell whether nothing can be written any more; after an EOF the transport does not say."""
        return self._is_leaving or self.transport.is_closing()

    def _answer_last(self) -> None:
        """Close after the answer to the newest request, whose client may be sending still."""
        self.cycle.keep_alive = False
        self._give_door()

    def on_body(self, body: bytes) -> None:
        """Count it, also where nobody wants it."""
        self._body_bytes += len(body)
        if self._keeps_with_body and not self._is_draining and not self.cycle.response_started:
            self.cycle.keep_alive = True
        super().on_body(body)
        if self._unread_input is not None:
            self._unread_input.amount += len(body)

    def on_message_complete(self) -> None:
        """Begin to count anew: what follows is the head of the next request."""
        super().on_message_complete()
        self._unread_input = None
        self._in_head = True
        self._head_bytes = 0
        self._head_line = None
        self._body_bytes = 0
        self._messages += 1
        if self._is_draining and self._is_idle():  # it was the rest of what has its answer
            self._close_soon()

    def on_response_complete(self) -> None:
        """Read on only when nothing waits, which uvicorn does after every answer."""
        super().on_response_complete()
        # Who is sending has the time that `hurry` gives, and not that of who has nothing to say.
        if self._is_leaving or (self._in_head and self._head_bytes):
            self._unset_keepalive_if_required()
        if self.pipeline:
            self.flow.pause_reading()
        elif not self._in_head and self._is_idle():
            self._expect_unread_input()

    def resume_writing(self) -> None:
        """Note that the client has read most of what there was."""
        self._drains += 1
        super().resume_writing()

    def hurry(self, now: float, patience: float) -> None:
        """End what the client should have done by now; called about once a second."""
        if self._unread_input is not None and self._unread_input.is_too_much(now, patience):
            self.transport.abort()
            return
        step, amount = self._step()
        key = step and (step, self._messages, self._drains)
        if not self._pace.is_too_slow(key, amount, now, patience):
            return
        if step is Step.SEND_HEAD and self._head_bytes:
            self._refuse(RequestTimeout())
        elif step is Step.SEND_HEAD:  # it never said a word
            self.transport.close()
        elif step is Step.SEND_BODY and not self._is_idle():
            # Whoever reads the body answers, so that the answer is like any other.
            self.cycle.scope[BODY_OVERDUE] = True  # type: ignore[literal-required]  # ours
            self.cycle.message_event.set()
        else:
            self.transport.abort()

    def _step(self) -> tuple[Step | None, int]:
        """Return what is up to the client, and how many bytes of it are done."""
        if left := unread(self.transport):
            return Step.READ, -left
        if self._is_leaving and self._unread_input is not None:
            return Step.SEND_BODY, self._unread_input.amount
        if not self._in_head:
            return (None if self.flow.read_paused else Step.SEND_BODY), self._body_bytes
        if self._is_idle() and (self._head_bytes or not self._messages):
            return Step.SEND_HEAD, 0
        return None, 0

    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete or cycle.disconnected

    def shutdown(self) -> None:
        """Answer what has come and what is on its way, and close.

        Closing at once, as uvicorn does, would cut off who is just sending.
        """
        self._is_draining = True
        if self._is_idle():
            self._close_soon()
        else:
            self.cycle.keep_alive = False

    def _close_soon(self) -> None:
        self.loop.call_later(LINGER_SECONDS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        has_begun = self._in_head and self._head_bytes
        if self._is_leaving or (self._is_idle() and not has_begun):
            self.transport.close()

    def give_up(self) -> None:
        """Close, since the server ends now; an answer that is being made is not waited for."""
        if self._in_head and self._is_idle() and self._head_bytes and not self._is_leaving:
            self._refuse(Unavailable("The server is stopping. Try again."))
        elif self._is_idle():
            self.transport.close()

    def _expect_unread_input(self) -> None:
        if self._unread_input is None:
            self._unread_input = UnreadInput(self.loop.time())

    def _close_gently(self) -> None:
        """Say that nothing more comes, and close when the client has said the same.

        It may be sending still, and a close now would cost it the answer.
        """
        if self._in_head and not self._is_deaf:
            self.transport.close()
            return
        self._is_deaf = self._is_leaving = True
        self._expect_unread_input()
        self.pipeline.clear()
        if not self._is_idle():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        try:
            self.transport.write_eof()
        except OSError:  # asyncio's own transport says so where the client is gone, uvloop's not
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser does not go on with; `msg` says no more than that."""
        problem = self._fault or BadRequest(f"{msg} The server speaks HTTP/1.1.")
        if self._is_deaf:  # it was a request too many
            self._note(problem)
        else:
            self._refuse(problem)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the request is answered as if it had not asked, and has its line."""

    def _refuse(self, problem: Problem) -> None:
        """Answer and close, unless an answer is on its way: then nothing comes after that."""
        self._is_deaf = True
        if self.pipeline and not self._in_head:  # it is not this one's turn, and it will have none
            self.pipeline.popleft()
            self.cycle, self._in_head = self._cycle_before, True
        if self._in_head and not self._is_idle():
            self._note(problem)
            self._answer_last()
            return
        if not self._in_head and self.cycle.response_started:  # none after an answer, or half of it
            self._note(problem)
            (self._close_gently if self._is_idle() else self.transport.close)()
            return
        request_id = str(uuid.uuid4())
        if not isinstance(problem, Unavailable):  # of which a flood has many, and says so itself
            self._note(problem, request_id=request_id)
        body = problem.body()
        headers = {
            "content-type": MEDIA_TYPE,
            "content-length": len(body),
            "x-request-id": request_id,
            "connection": "close",
            **{name.decode(): value.decode() for name, value in OF_PROBLEMS},
        }
        lines = [f"HTTP/1.1 {problem.status} {problem.title}"]
        own = {name.lower(): value for name, value in problem.headers.items()}
        lines += [f"{name}: {value}" for name, value in (own | headers).items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self._close_gently()

    @staticmethod
    def _note(problem: Problem, **ids: str) -> None:
        """Write the line of a refused request; without a `request_id` it has no answer."""
        logger.info("request refused", extra={"status": problem.status, **ids})

    @classmethod
    def _say_full(cls) -> None:
        """Tell it once in a while: a flood must not fill the log as well."""
        now = time.monotonic()
        if cls._said_full_at is None or now > cls._said_full_at + 10:
            cls._said_full_at = now
            logger.warning("too many connections", extra={"limit": most_connections()})
