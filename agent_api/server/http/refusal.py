"""Responses to requests that are refused before the application sees them."""

import logging
import uuid

from agent_api.http.problems import MEDIA_TYPE, Problem, Unavailable
from agent_api.middleware.response_headers import PROBLEM_HEADERS

logger = logging.getLogger(__name__)


def response(problem: Problem) -> bytes:
    """Log the refusal and return the whole HTTP/1.1 response, which closes the connection.

    Unavailable is not logged: under a flood of connections each one would write a line.
    """
    request_id = str(uuid.uuid4())
    if not isinstance(problem, Unavailable):
        log(problem, request_id=request_id)
    body = problem.body()
    headers = {name.lower(): value for name, value in problem.headers.items()} | {
        "content-type": MEDIA_TYPE,
        "content-length": len(body),
        "x-request-id": request_id,
        "connection": "close",
        **{name.decode(): value.decode() for name, value in PROBLEM_HEADERS},
    }
    lines = [f"HTTP/1.1 {problem.status} {problem.title}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def log(problem: Problem, **ids: str) -> None:
    """Log a refused request; without a `request_id` it gets no response."""
    logger.info("request refused", extra={"status": problem.status, **ids})
