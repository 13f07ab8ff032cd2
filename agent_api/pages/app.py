"""Serves the web page: a reference agent-manager, from the files in static/."""

import re
from functools import lru_cache
from pathlib import Path

import flask

from agent_api.http import problems
from agent_api.pages.files import ISOLATED, File, media_type

PATHS = ("/app",)
STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
SHEET = "styles.css"
SHEETS = tuple(
    f"styles/{name}.css"
    for name in (
        *("base", "parts", "forms", "values", "parts_touch", "dialogs"),
        *("sign_in", "search", "versions", "shared_page", "details", "views_touch"),
        *("layout", "sidebar", "conversation_row", "sidebar_foot", "sidebar_touch"),
        *("notices", "thread", "message", "markdown", "composer"),
    )
)
"""What styles.css consists of, in this order. One file is a third smaller than many, compressed."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
"""The page uses no inline scripts or styles, so hostile content cannot use any either.

The last rule forbids turning any text into HTML; the page only makes elements.
"""

_RELATIVE = re.compile(rb'\b(href|src)="(?=\w[\w./-]*")')


def register(app: flask.Flask, root_path: str | None) -> None:
    """Add the page to `app`. Files that are added to static/ later are not served."""
    # Only names in this set are opened, so a path cannot lead out of the folder.
    names = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()}
    names = names - {INDEX, *SHEETS} | {SHEET}

    def root() -> flask.Response:
        return _load(INDEX, root_path).response()

    def page_file(name: str) -> flask.Response:
        if name not in names:
            raise problems.NotFound("path")
        return _load(name, None).response()

    app.add_url_rule("/", view_func=root)
    app.add_url_rule("/app/<path:name>", view_func=page_file)


def _load(name: str, root_path: str | None) -> File:
    """Return a file as it is now, so that a developer only needs to reload the page."""
    parts = [STATIC / part for part in (SHEETS if name == SHEET else (name,))]
    return _read(name, root_path, tuple((part, part.stat().st_mtime_ns) for part in parts))


@lru_cache(maxsize=256)
def _read(name: str, root_path: str | None, parts: tuple[tuple[Path, int], ...]) -> File:
    """Return the content of `parts`, each with the time of its last change."""
    content = b"".join(part.read_bytes() for part, _ in parts)
    if name != INDEX:
        return File(content, media_type(name))
    if root_path is not None:
        # The address may be /api without a slash at its end: relative references would leave it.
        content = _RELATIVE.sub(rb'\1="%s/' % root_path.encode(), content)
    return File(content, "text/html", {"Content-Security-Policy": POLICY} | ISOLATED)
