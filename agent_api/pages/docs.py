"""Serves the contract as YAML and JSON, and a page to browse it offline."""

from functools import cache
from pathlib import Path
from typing import Any

import flask
import orjson
import swagger_ui_bundle

from agent_api.contract.spec import contract_path
from agent_api.http import problems
from agent_api.pages.files import ISOLATED, File, media_type

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
    """Add the pages to `app`. The contract they show has `root_path` as its server."""
    contract_yaml = contract_path().read_bytes()
    if root_path is not None:
        (server,) = contract["servers"]
        contract = {**contract, "servers": [{**server, "url": root_path}]}
        contract_yaml = contract_yaml.replace(_SERVER % b"/", _SERVER % root_path.encode())
    contract_json = orjson.dumps(contract)
    files = {
        "/openapi.json": File(contract_json, "application/json"),
        "/openapi.yaml": File(contract_yaml, "application/yaml"),
        "/docs": File(PAGE.encode(), "text/html", {"Content-Security-Policy": POLICY} | ISOLATED),
        "/docs/init.js": File(INIT.encode(), "text/javascript"),
    }

    def docs() -> flask.Response:
        return files[flask.request.path].response()

    def docs_asset(name: str) -> flask.Response:
        if name not in ASSETS:
            raise problems.NotFound("path")
        return _read(name).response()

    for path in files:
        app.add_url_rule(path, view_func=docs)
    app.add_url_rule("/docs/<name>", view_func=docs_asset)


@cache
def _read(name: str) -> File:
    """Return a file of Swagger UI, which only changes with its version."""
    content = (Path(swagger_ui_bundle.swagger_ui_path) / name).read_bytes()
    return File(content, media_type(name), {"Cache-Control": "public, max-age=86400"})
