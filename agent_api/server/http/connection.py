"""A client's connection: its states, timeouts, refusals, and how it closes."""

import asyncio
import enum
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from agent_api.http.problems import Problem, RequestTimeout, Unavailable
from agent_api.http.request_context import BODY_OVERDUE
from agent_api.server.http import refusal
from agent_api.server.http.lean import LeanFlowControl, Pipeline
from agent_api.server.http.progress import ProgressWatch, unsent_bytes
from agent_api.server.http.response_transport import ResponseTransport, UnchunkedTransport

MAX_DROPPED_BYTES = 64 * 1024 * 1024
"""The connection is reset after this much dropped input."""
LATE_REQUEST_SECONDS = 0.5
"""How long a stopping server keeps an idle connection, for a request already on its way."""


class State(enum.Enum):
    """What the client sends now, and what we do with it.

    CONNECTED -> HEAD -> BODY [-> UNWANTED_BODY] -> KEEP_ALIVE -> HEAD -> ...
    Refusals and responses with `Connection: close` lead to LAST_RESPONSE or LINGERING.
    """

    CONNECTED = enum.auto()
    """Nothing has come yet."""
    HEAD = enum.auto()
    """Part of a request line or of headers has come."""
    BODY = enum.auto()
    """The head is complete; body and trailers are coming."""
    UNWANTED_BODY = enum.auto()
    """The response is complete, the body is not. The rest of it is dropped."""
    KEEP_ALIVE = enum.auto()
    """A request is complete, and nothing of the next one has come."""
    LAST_RESPONSE = enum.auto()
    """All input is ignored. The connection closes after the response in progress."""
    LINGERING = enum.auto()
    """We have sent our last byte, and drop all input until the client closes."""


class Step(enum.Enum):
    """What the client has to do next, within a timeout."""

    SEND_HEAD = enum.auto()
    SEND_BODY = enum.auto()
    READ_RESPONSE = enum.auto()


class Connection(HttpToolsProtocol):
    """Enforces timeouts, and closes without truncating a response.

    Its subclass reports what the client sends by setting `_state`.

    CPython stores up to 30 attributes compactly, and uvicorn has 28. Ours are in slots: with more
    attributes, each connection would have a dictionary of 1,600 bytes.
    """

    __slots__ = (
        *("_body_bytes", "_dropping_since", "_previous_cycle", "_server_is_stopping", "_state"),
        "_watch",
    )
    _previous_cycle: RequestResponseCycle  # of the request before self.cycle

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._state = State.CONNECTED
        self._server_is_stopping = False
        self._body_bytes = 0  # of the body, and from `_dropping_since` on of all that is dropped
        self._dropping_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows asyncio's type too
        """Begin to watch the client's progress."""
        super().connection_made(transport)
        self.flow = LeanFlowControl(transport)
        self.pipeline = Pipeline()  # type: ignore[assignment]  # uvicorn expects a deque; it calls only these methods
        self._watch = ProgressWatch()

    def _is_idle(self) -> bool:
        """Tell whether no response is due or in progress."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete or cycle.disconnected

    def on_response_complete(self) -> None:
        """Start the next queued request, or drop the rest of a body that was not needed."""
        super().on_response_complete()
        if self._state in (State.HEAD, State.LINGERING):
            # While a client is sending, `enforce_timeouts` applies; the keep-alive timer does not.
            self._unset_keepalive_if_required()
        if self.pipeline:  # uvicorn resumes reading even if more requests are queued
            self.flow.pause_reading()
        elif self._state is State.BODY and self._is_idle():
            self._drop_input(State.UNWANTED_BODY)

    def _restart_keep_alive_timer(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def resume_writing(self) -> None:
        """Note that the client has read most of the response so far."""
        self._watch.restart()
        super().resume_writing()

    def _refuse(self, problem: Problem) -> None:
        """Respond to the newest request with `problem`, and close.

        If the response to an earlier request is still due, send that one last, and only log this.
        """
        has_cycle = self._state in (State.BODY, State.UNWANTED_BODY)
        if has_cycle and self.pipeline:  # still queued: remove it
            self.pipeline.popleft()
            self.cycle = self._previous_cycle
            has_cycle = False
        self._state = State.LAST_RESPONSE
        if not has_cycle and not self._is_idle():
            refusal.log(problem)
            self.cycle.keep_alive = False
        elif has_cycle and self.cycle.response_started:
            refusal.log(problem)
            if self._is_idle():
                self._linger()
            else:
                self.transport.close()
        else:
            self.transport.write(refusal.response(problem))
            self._linger()

    def _join_writes(self) -> None:
        """Give the newest response a transport of its own."""
        is_1_0 = self.cycle.scope["http_version"] == "1.0"
        transport = UnchunkedTransport if is_1_0 else ResponseTransport
        self.cycle.transport = transport(  # type: ignore[assignment]  # uvicorn expects a Transport; a cycle calls only these methods
            self.transport,
            self.loop,
            # The head of a complete response must not wait: a refusal could overtake it.
            has_body=self.cycle.scope["method"] != "HEAD",
            is_closing=self._is_closing,
            close=self._close_or_linger,
        )

    def _is_closing(self) -> bool:
        """Tell whether nothing can be written. After write_eof, the transport still says it can."""
        return self._state is State.LINGERING or self.transport.is_closing()

    def _close_or_linger(self) -> None:
        """Close at once between requests, and linger if the client may be sending."""
        if self._state in (State.HEAD, State.KEEP_ALIVE):
            self.transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Send EOF, and drop input until the client closes or is out of time.

        Closing while the client is sending would reset the connection, and the client could lose
        the response (RFC 9112 section 9.6).
        """
        self._drop_input(State.LINGERING)
        self.pipeline.clear()
        if not self._is_idle():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        try:
            self.transport.write_eof()
        except OSError:  # raised by asyncio, not by uvloop, if the client is gone
            self.transport.close()

    def _drop_input(self, state: State) -> None:
        self._state = state
        self._body_bytes = 0
        self._dropping_since = self.loop.time()

    def enforce_timeouts(self, now: float, timeout: float) -> None:
        """Close the connection of a client that is too slow; called about once a second."""
        step, amount = self._next_step()
        if self._state in (State.UNWANTED_BODY, State.LINGERING):
            if step is Step.READ_RESPONSE:
                self._dropping_since = now  # the time to stop sending begins after the response
            if now > self._dropping_since + timeout or self._body_bytes > MAX_DROPPED_BYTES:
                self.transport.abort()
                return
        if not self._watch.is_too_slow(step, amount, now, timeout):
            return
        if self._state is State.HEAD and step is Step.SEND_HEAD:
            self._refuse(RequestTimeout())
        elif step is Step.SEND_HEAD:
            self.transport.close()
        elif step is Step.SEND_BODY:
            # The handler of the body raises the problem, so that the response is like any other.
            self.cycle.scope[BODY_OVERDUE] = True  # type: ignore[literal-required]  # ours
            self.cycle.message_event.set()
        else:
            self.transport.abort()

    def _next_step(self) -> tuple[Step | None, int]:
        """Return what the client has to do next, and how many bytes of it are done."""
        if unsent := unsent_bytes(self.transport):
            return Step.READ_RESPONSE, -unsent
        if self._state is State.BODY and not self.flow.read_paused:
            return Step.SEND_BODY, self._body_bytes
        if self._state in (State.CONNECTED, State.HEAD) and self._is_idle():
            return Step.SEND_HEAD, 0
        return None, 0

    def shutdown(self) -> None:
        """Close when idle; unlike uvicorn, wait for requests that are on their way."""
        self._server_is_stopping = True
        if self._is_idle():
            self._schedule_idle_close()
        else:
            self.cycle.keep_alive = False

    def _schedule_idle_close(self) -> None:
        # uvloop runs timers before it reads. The second timer leaves it a chance to read a request
        # that came while the process was suspended.
        later = self.loop.call_later
        later(LATE_REQUEST_SECONDS, later, 0.01, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._is_idle() and self._state is not State.HEAD:
            self.transport.close()

    def shutdown_now(self) -> None:
        """Close an idle connection, and refuse a partly received head."""
        if self._state is State.HEAD and self._is_idle():
            self._refuse(Unavailable("The server is stopping. Try again."))
        elif self._is_idle():
            self.transport.close()
