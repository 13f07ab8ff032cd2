"""Serves the contract as YAML and JSON, and a page to browse it offline."""

from pathlib import Path
from typing import Any

import flask
import orjson
import swagger_ui_bundle
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from agent_api.contract.spec import contract_path
from agent_api.http import problems

PATHS = ("/docs", "/openapi.json", "/openapi.yaml")
ASSETS = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Agent API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<main id="swagger-ui"></main>
<noscript>This page needs JavaScript. Read <a href="openapi.yaml">openapi.yaml</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/init.js"></script>
</body>
</html>
"""
INIT = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""
_SERVER = b"\nservers:\n  - url: %s\n"
# Everything comes from this server. Swagger UI uses inline styles and data URLs for icons.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def register(app: flask.Flask, contract: dict[str, Any], root_path: str | None) -> None:
    """Add the pages to `app`, and turn its HTTP errors into problems.

    The contract that they show has `root_path` as its server, which "Try it" calls.
    """
    contract_yaml = contract_path().read_bytes()
    if root_path is not None:
        (server,) = contract["servers"]
        contract = {**contract, "servers": [{**server, "url": root_path}]}
        contract_yaml = contract_yaml.replace(_SERVER % b"/", _SERVER % root_path.encode())
    contract_json = orjson.dumps(contract, option=orjson.OPT_INDENT_2)
    assets = Path(swagger_ui_bundle.swagger_ui_path)

    def root() -> flask.Response:
        # Relative, because a proxy may have removed the beginning of the path.
        return flask.Response(status=307, headers={"Location": "docs"})

    def openapi_json() -> flask.Response:
        return flask.Response(contract_json, mimetype="application/json")

    def openapi_yaml() -> flask.Response:
        return flask.Response(contract_yaml, mimetype="application/yaml")

    def docs() -> flask.Response:
        return flask.Response(
            PAGE,
            headers={
                "Content-Security-Policy": POLICY,
                # The page may contain a token, so isolate it from other windows.
                "Cross-Origin-Opener-Policy": "same-origin",
            },
        )

    def docs_init() -> flask.Response:
        return flask.Response(INIT, mimetype="text/javascript")

    def docs_asset(name: str) -> flask.Response:
        if name not in ASSETS:
            raise problems.NotFound("path")
        file = flask.send_from_directory(assets, name, max_age=86400, conditional=False)
        return _or_not_modified(file)

    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # only GET and HEAD
    app.add_url_rule("/", view_func=root)
    app.add_url_rule("/openapi.json", view_func=openapi_json)
    app.add_url_rule("/openapi.yaml", view_func=openapi_yaml)
    app.add_url_rule("/docs", view_func=docs)
    app.add_url_rule("/docs/init.js", view_func=docs_init)
    app.add_url_rule("/docs/<name>", view_func=docs_asset)
    app.register_error_handler(HTTPException, _to_problem)


def _or_not_modified(file: flask.Response) -> flask.Response:
    """Return `file`, or a 304 if If-None-Match contains its ETag.

    Flask's own conditional responses also support ranges, with errors that are not problems.
    """
    tag, _ = file.get_etag()
    if tag is None or not flask.request.if_none_match.contains_weak(tag):
        return file
    file.close()
    kept = {name: file.headers[name] for name in ("ETag", "Cache-Control")}
    return flask.Response(status=304, headers=kept)


def _to_problem(error: HTTPException) -> flask.Response:
    if isinstance(error, MethodNotAllowed):
        raise problems.MethodNotAllowed(sorted(error.valid_methods or ())) from error
    raise problems.NotFound("path") from error
