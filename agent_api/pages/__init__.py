"""Pages outside the contract, served by Flask."""

from typing import Any

import flask
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from agent_api.http import problems
from agent_api.pages import app as page
from agent_api.pages import docs

PATHS = (*docs.PATHS, *page.PATHS)


def register(app: flask.Flask, contract: dict[str, Any], root_path: str | None) -> None:
    """Add the pages to `app`, and turn its HTTP errors into problems."""
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # only GET and HEAD
    page.register(app, root_path)
    docs.register(app, contract, root_path)
    app.register_error_handler(HTTPException, _to_problem)


def _to_problem(error: HTTPException) -> flask.Response:
    if isinstance(error, MethodNotAllowed):
        raise problems.MethodNotAllowed(sorted(error.valid_methods or ())) from error
    raise problems.NotFound("path") from error
