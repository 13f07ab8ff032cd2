"""Applies If-Match to changes and If-None-Match to responses (RFC 9110, 13).

Preconditions come last: only requests that are otherwise valid reach them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus

from agent_api.http import etag
from agent_api.http.problems import PreconditionFailed
from agent_api.http.responses import Response
from db.engine import Connection, autocommit, transaction


@contextmanager
def conditional_write(
    if_match: str | None, lock: Callable[..., bytes], several: bool = False, /, **row: str
) -> Iterator[Connection]:
    """Yield a connection for the statement that changes `row`, if If-Match allows it.

    With `several`, it is for several statements, which have an effect together or not at all.
    `lock` locks the row until the end of the transaction and returns its document. Raises
    PreconditionFailed if no tag matches, and whatever `lock` raises.
    """
    if if_match in (None, "*"):  # "*" requires that the row exists, as the statement itself does
        with transaction() if several else autocommit() as connection:
            yield connection
        return
    with transaction() as connection:
        if not etag.matches_strongly(if_match, etag.of(lock(connection, **row))):
            raise PreconditionFailed
        yield connection


def apply_if_none_match(response: Response, if_none_match: str) -> Response:
    """Return the response, or a 304 if the client already has it."""
    tag = response.headers.get("ETag")
    if (
        response.status != HTTPStatus.OK
        or tag is None
        or not etag.matches_weakly(if_none_match, tag)
    ):
        return response
    return replace(response, status=HTTPStatus.NOT_MODIFIED, body=b"", media_type="")
