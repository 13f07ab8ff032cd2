"""HTTP/1.1 on a connection: uvicorn's, with a limit on headers, and with errors as problems."""

import uuid

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agent_api.problems import MEDIA_TYPE, BadRequest, HeadersTooLarge, Problem

MAX_HEADER_BYTES = 64 * 1024
"""Of request line and headers; httptools has no limit of its own and slows down with their size."""


class TooManyBytes(Exception):
    """The headers are over the limit: raised into the parser, which then reads no further."""


class HttpProtocol(HttpToolsProtocol):
    """Ends a connection whose headers do not end, or that does not speak HTTP."""

    _in_head = True
    _head_bytes = 0
    _too_large = False

    def data_received(self, data: bytes) -> None:
        """Count what comes while a head is incomplete, and refuse one that does not end."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        endless = self._in_head and self._head_bytes > MAX_HEADER_BYTES
        if endless and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(MAX_HEADER_BYTES))

    def on_headers_complete(self) -> None:
        """Refuse a head that came at once and is too large."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        self._too_large = size > MAX_HEADER_BYTES
        if self._too_large:
            raise TooManyBytes
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Begin to count anew: what follows is the head of the next request."""
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser does not go on with; `msg` says no more than that."""
        if self._too_large:
            self._refuse(HeadersTooLarge(MAX_HEADER_BYTES))
        else:
            self._refuse(BadRequest(f"{msg} The server speaks HTTP/1.1."))

    def _refuse(self, problem: Problem) -> None:
        body = problem.body()
        reason = problem.title.encode()
        head = (
            b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n"
            b"x-request-id: %s\r\nconnection: close\r\n\r\n"
        )
        request_id = str(uuid.uuid4()).encode()
        values = (problem.status, reason, MEDIA_TYPE.encode(), len(body), request_id)
        self.transport.write(head % values + body)
        self.transport.close()
