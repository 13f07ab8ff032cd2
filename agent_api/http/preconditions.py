"""If-Match and If-None-Match: whether a change is made, and whether an answer is sent.

RFC 9110 section 13: a request is checked in all other ways before, and by these last.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus

from sqlalchemy import Connection

from agent_api.http import etag
from agent_api.http.problems import PreconditionFailed
from agent_api.http.responses import Response
from db.engine import autocommit, transaction


@contextmanager
def changing(if_match: str | None, lock: Callable[..., bytes], **row: str) -> Iterator[Connection]:
    """A connection on which to change the `row`, by one statement.

    With `if_match` it is in a transaction, in which `lock` has returned the row's document and
    keeps others from changing it. Raises PreconditionFailed, and what `lock` raises.
    """
    if if_match in (None, "*"):  # any state will do, and what there is not, is not changed
        with autocommit() as connection:
            yield connection
        return
    with transaction() as connection:
        if not etag.matches_strongly(if_match, etag.of(lock(connection, **row))):
            raise PreconditionFailed
        yield connection


def unless_known(response: Response, if_none_match: str) -> Response:
    """Return the answer, or a 304 in its place where the client has it already."""
    tag = response.headers.get("ETag")
    if (
        response.status != HTTPStatus.OK
        or tag is None
        or not etag.matches_weakly(if_none_match, tag)
    ):
        return response
    return replace(response, status=HTTPStatus.NOT_MODIFIED, body=b"", media_type="")
